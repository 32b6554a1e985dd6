"""Cuts between shots, as PySceneDetect 0.5.1's ContentDetector finds them by default."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 30.0  # mean change of hue, saturation and value, in 8-bit steps
MIN_LENGTH = 15  # frames between two cuts
STEPS = {3200: 12, 2100: 8, 1700: 6, 1200: 5, 900: 4, 600: 3, 400: 2}  # width → every n-th pixel is looked at
_BITS = 12  # of OpenCV's fixed-point division


class ShotFinder:
    """Finds the shots of a video whose frames are shown to it one by one."""

    def __init__(self) -> None:
        self.frames = 0
        self.cuts: list[int] = []
        self._last: NDArray[np.int32] | None = None

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Look at the next frame, RGB ``(H, W, 3)``."""
        step = next((step for width, step in STEPS.items() if frame.shape[1] >= width), 1)
        colours = hsv(frame[::step, ::step])
        if self._last is not None:
            change = np.abs(colours - self._last).mean()
            long = not self.cuts or self.frames - self.cuts[-1] >= MIN_LENGTH
            if change >= THRESHOLD and long:
                self.cuts.append(self.frames)
        self._last = colours
        self.frames += 1

    def shots(self) -> list[tuple[int, int]]:
        """First frame of each shot, and the one behind its last."""
        return list(pairwise([0, *self.cuts, self.frames]))


def hsv(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Hue (0 to 179), saturation and value (0 to 255) as OpenCV rounds them.

    Args:
        pixels: RGB ``(H, W, 3)``.

    Returns:
        ``(H, W, 3)``.

    >>> hsv(np.array([[[255, 0, 0], [0, 128, 0], [50, 50, 50]]], dtype=np.uint8))[0].tolist()
    [[0, 255, 255], [60, 255, 128], [0, 0, 50]]
    """
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    value = pixels.max(-1).astype(np.int32)
    spread = value - pixels.min(-1)
    hue = np.where(
        value == red, green - blue, np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    )
    hue = _divide(hue, spread, 180 / 6)
    return np.stack([hue + 180 * (hue < 0), _divide(spread, value, 255), value], axis=-1)


def _divide(amount: NDArray[np.int32], by: NDArray[np.int32], scale: float) -> NDArray[np.int32]:
    """``scale * amount / by`` in OpenCV's whole numbers; 0 where divided by 0."""
    factor = np.rint(scale * 2**_BITS / np.maximum(by, 1)).astype(np.int32) * (by > 0)
    quotient: NDArray[np.int32] = (amount * factor + 2 ** (_BITS - 1)) >> _BITS
    return quotient
