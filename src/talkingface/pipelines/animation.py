"""What is animated, rendered while it is read and streamed into a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import MediaError
from talkingface.core.media import VideoWriter, write_picture
from talkingface.core.media.picture import PICTURE_SUFFIXES

FPS = 25.0

Frames = NDArray[np.uint8]
Progress = Callable[[int, int], None]


class MotionTrack(Protocol):
    """What drives a portrait.

    Attributes:
        sound: what is heard: 16 kHz samples, a file with sound, or nothing.
        files: what is read, by what it is.
        notes: what a user should know about it.
    """

    @property
    def sound(self) -> NDArray[np.float32] | Path | None: ...

    @property
    def files(self) -> Mapping[str, Path]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def stream(self, batch: int) -> Iterator[Tensor]:
        """Motion ``(n, D)`` in order, up to ``batch`` frames at a time."""


class Rendering(ABC):
    """A video that is rendered while it is read; it never holds more than one batch of frames.

    Attributes:
        files: what is read, by what it is; nothing may be written there.
        notes: what a user should know: the face that was chosen, a control track that was cut …
    """

    def __init__(self, files: Mapping[str, Path], notes: tuple[str, ...]) -> None:
        self.files = files
        self.notes = notes

    @property
    @abstractmethod
    def sound(self) -> NDArray[np.float32] | Path | None:
        """What is heard: 16 kHz samples, a file with sound, or nothing."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def frames(self) -> Iterator[Frames]:
        """Render: frames ``(n, H, W, 3)``, up to a batch at a time.

        Raises:
            WeightsError: when motion or a frame comes out as NaN or infinite.
            MediaError: when what is read cannot be decoded further.
        """

    def numpy(self) -> Frames:
        """Render all frames into memory, ``(T, H, W, 3)``; a long video is better saved.

        Raises:
            WeightsError, MediaError: as :meth:`frames`.
        """
        return np.concatenate(list(self.frames()))

    def save(self, path: str | Path, progress: Progress | None = None) -> Path:
        """Render into a video with the sound that drives it; the file appears whole or not at all.

        Args:
            path: mp4, m4v, mov or mkv; of a single frame also png, jpg or webp.
            progress: told the number of frames written and their total, after every batch.

        Returns:
            The path.

        Raises:
            MediaError: when the file cannot be written, or is one of those that are read.
            WeightsError: as :meth:`frames`.
        """
        path = Path(path)
        for what, file in self.files.items():
            if path.exists() and path.samefile(file):
                raise MediaError(f"{path} is the {what}; give another file for the result.")
        if len(self) == 1 and path.suffix.lower() in PICTURE_SUFFIXES:
            (picture,) = next(self.frames())
            write_picture(path, picture)
            if progress is not None:
                progress(1, 1)
            return path
        with VideoWriter(path, FPS, audio=self.sound) as writer:
            for frames in self.frames():
                writer.write(frames)
                if progress is not None:
                    progress(writer.frames_written, len(self))
        return path


class Animation(Rendering):
    """A portrait that is moved. Made by :meth:`talkingface.Animator.animate`.

    Attributes:
        motion: what drives it.
    """

    def __init__(
        self,
        motion: MotionTrack,
        draw: Callable[[Tensor], Frames],
        batch: int,
        files: Mapping[str, Path],
        notes: tuple[str, ...],
    ) -> None:
        super().__init__(files, notes)
        self.motion = motion
        self._draw = draw
        self._batch = batch

    @property
    def sound(self) -> NDArray[np.float32] | Path | None:
        """That of what drives it."""
        return self.motion.sound

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.motion)

    def frames(self) -> Iterator[Frames]:
        """See :meth:`Rendering.frames`."""
        for motion in self.motion.stream(self._batch):
            yield self._draw(motion)
