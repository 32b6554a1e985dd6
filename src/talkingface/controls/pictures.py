"""Base of the control readers that look at the pictures; what they saw is kept on disk."""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.controls.geometry import controls_from
from talkingface.core.cache import cache_folder
from talkingface.core.interfaces import ControlReader
from talkingface.core.media import VideoReader
from talkingface.data.tracks import is_whole, written
from talkingface.weights import sha256

BATCH = 16  # frames at once
SHAPES = {"pose": (3,), "location": (), "scale": (), "landmarks": (68, 2)}  # of a frame, in the order of the file


class PictureControls(ControlReader):
    """Looks at every frame of a clip once; the tracks are kept under a hash of clip, networks and rule.

    Attributes:
        coefficients: numbers of the expression that it measures; 0 where it measures none.
    """

    coefficients: int = 0

    @abstractmethod
    def fingerprint(self) -> str:
        """What the tracks depend on beside the clip: the rule, and the content of every network."""

    @abstractmethod
    def see(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[tuple[Tensor, ...]]:
        """Look at a clip from beginning to end.

        Args:
            batches: its frames in order, each ``(n, H, W, 3)``.

        Yields:
            For each batch landmarks ``(n, 68, 2)`` as fractions of the frame, head rotations ``(n, 3, 3)`` as
            :func:`talkingface.core.geometry.rotation`, and the expression ``(n, coefficients)`` where it is measured;
            NaN where unknown.
        """

    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """See :meth:`ControlReader.read`; pictures that are given are looked at, whatever was kept of the clip."""
        if frames is not None:
            return self._look(frames[first : first + BATCH] for first in range(0, len(frames), BATCH))
        assert clip is not None, "there is either a clip or its pictures"
        key = hashlib.sha256(f"{self.fingerprint()} {sha256(clip)}".encode()).hexdigest()[:32]
        path = cache_folder("tracks", "controls", f"{key}.npy")
        shapes = SHAPES | ({"expression": (self.coefficients,)} if self.coefficients else {})
        widths = [math.prod(shape) for shape in shapes.values()]
        with VideoReader(clip) as reader:
            shape = len(reader), sum(widths)
            if not is_whole(path, shape, np.float32):
                found = self._look(reader.stream(BATCH))
                with written(path, shape, np.float32) as columns:
                    columns[:] = np.concatenate([found[name].reshape(len(reader), -1) for name in shapes], axis=1)
        kept = torch.from_numpy(np.load(path, allow_pickle=False)).split(widths, dim=1)
        return {name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes.items(), kept, strict=True)}

    def _look(self, batches: Iterable[NDArray[np.uint8]]) -> dict[str, Tensor]:
        shapes: list[tuple[int, ...]] = []

        def passing() -> Iterator[NDArray[np.uint8]]:
            for batch in batches:
                shapes.append(batch.shape)
                yield batch

        landmarks, rotation, *expression = (torch.cat(parts) for parts in zip(*self.see(passing()), strict=True))
        found = controls_from(landmarks, rotation, aspect=shapes[0][2] / shapes[0][1])
        return found | dict(zip(("expression",), expression, strict=False))
