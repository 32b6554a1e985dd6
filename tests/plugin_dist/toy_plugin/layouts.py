"""A layout of one's own: who is seen stands in a list beside the videos."""

from collections.abc import Iterator
from pathlib import Path

from talkingface.prepare.layouts import Layout
from talkingface.prepare.records import Source


class CastLayout(Layout):
    """``cast.txt`` with a line of video and person each.

    Args:
        split: of everybody.
    """

    def __init__(self, *, split: str = "") -> None:
        self.split = split

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        if path.name == "cast.txt":
            for line in path.read_text().splitlines():
                video, person = line.split()
                yield Source(path.with_name(video), Path(video).stem, person, self.split)
