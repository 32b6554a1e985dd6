"""How much of the frame a picture shows: all of it, or a closer view of the face, as face crops of real data do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from talkingface.core.errors import ConfigError

CENTRE = (0.5, 0.56)  # of a closer view, as fractions of the frame: between the brows and the chin of a resting face


@dataclass(frozen=True)
class Framing:
    """A square view of the middle of the face, which stays where it is while the head moves.

    Args:
        size: side of the view, in pixels.
        share: side of the view over side of the frame; 1 is the whole frame.

    Raises:
        ConfigError: for a share outside of (0, 1].

    >>> Framing(64, 0.5).whole
    128
    """

    size: int
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"framing is the share of the frame that is shown, above 0 and at most 1: {self.share}?")

    @property
    def whole(self) -> int:
        """Side of the whole frame, in pixels of the view."""
        return round(self.size / self.share)

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top of the view in the frame, in pixels."""
        left, top = (min(max(round(at * self.whole - self.size / 2), 0), self.whole - self.size) for at in CENTRE)
        return left, top

    def cut(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Whole frames ``(..., whole, whole, 3)`` → views ``(..., size, size, 3)``."""
        left, top = self.corner
        return frames[..., top : top + self.size, left : left + self.size, :]

    def inside(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points ``(..., 2)`` as fractions of the frame → fractions of the view."""
        return (points * (self.whole / self.size) - np.divide(self.corner, self.size)).astype(np.float32)

    def outside(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of :meth:`inside`."""
        return (points * (self.size / self.whole) + np.divide(self.corner, self.whole)).astype(np.float32)
