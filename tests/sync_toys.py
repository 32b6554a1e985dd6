"""Clips whose mouth follows the loudness of their sound: what a sync expert can learn in seconds."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 24  # pixels
SAMPLES = 640  # of a frame


class ToyTalker:
    """A grey face of its own shade; its mouth is as high as the sound of that frame is loud.

    Args:
        number: of the person, whose shade it gives, and of the clip.
        frames: length.
        deaf: the mouth follows another sound than the one that is heard: the control.
    """

    def __init__(self, number: int, frames: int = 60, deaf: bool = False) -> None:
        random = np.random.default_rng(number)
        self.clip_id, self.identity, self.emotion = f"toy{number}", f"person{number}", ""
        loudness = random.random(frames)
        noise = random.standard_normal((frames, SAMPLES))
        self._wave = (0.3 * loudness[:, None] ** 2 * noise).astype(np.float32).ravel()
        height = np.round((random.random(frames) if deaf else loudness) * 8).astype(int)
        shade = int(random.integers(90, 200))
        self._frames = np.full((frames, SIDE, SIDE, 3), shade, np.uint8)
        for frame, high in zip(self._frames, height, strict=True):
            frame[18 - high // 2 : 18 + high - high // 2, 6:18] = 20

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        return self._frames[list(indices)]

    def stream(self, batch: int) -> Iterator[NDArray[np.uint8]]:
        for first in range(0, len(self), batch):
            yield self._frames[first : first + batch]

    def wave(self) -> NDArray[np.float32]:
        return self._wave

    def fingerprint(self) -> str:
        return self.clip_id

    def truth(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"index": torch.tensor(list(indices))}
