"""A media file that lies in memory: of an archive, or of a download."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class MediaBytes:
    """Stands where the path of a video is asked for.

    Attributes:
        name: for messages.
        content: all bytes of the file.
    """

    name: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name
