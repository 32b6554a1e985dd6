"""Squares round a face as LivePortrait cuts them: found from landmarks, turned until the face stands upright."""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.images import resize, to_float, to_uint8

LEFT_CORNERS, RIGHT_CORNERS, MOUTH_CORNERS = (36, 39), (42, 45), (48, 54)  # of 68 iBUG points
PORTRAIT = (2.3, -0.125)  # side over that of the landmarks' box, and shift down over the side (LivePortrait's settings)
DRIVING = (2.2, -0.1)
SHORTEST = 1e-3  # pixels from eyes to mouth, below which a face counts as upright
BORDER = 0.1  # of the side: how wide an animated square fades into the picture


def fade(distance: Tensor) -> Tensor:
    """Share of the animated square at a distance from its border, in widths of the fade: 0 at it, 1 from one width on.

    >>> fade(torch.tensor([0.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    ramp = distance.clamp(0.0, 1.0)
    return ramp * ramp * (3 - 2 * ramp)  # smooth at both ends, so that no line shows


@dataclass(frozen=True)
class Square:
    """A square in a picture, turned or not; it may reach over the border.

    Args:
        centre: x and y in pixels, counted from the picture's corner.
        side: in pixels.
        turn: of its upper edge, clockwise, in degrees.
    """

    centre: tuple[float, float]
    side: float
    turn: float = 0.0

    @classmethod
    def of_box(cls, box: tuple[int, int, int]) -> Self:
        """The square of an upper left corner and a side.

        >>> Square.of_box((10, 20, 8))
        Square(centre=(14.0, 24.0), side=8.0, turn=0.0)
        """
        left, top, side = box
        return cls((left + side / 2, top + side / 2), float(side))

    def places(self, across: Tensor, down: Tensor) -> Tensor:
        """Where points of the square lie in the picture.

        Args:
            across, down: as fractions of the side from its upper left corner, ``(...)``.

        Returns:
            x and y in pixels, ``(..., 2)``.
        """
        cosine, sine = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        right, below = (across - 0.5) * self.side, (down - 0.5) * self.side
        offset = torch.stack((cosine * right - sine * below, sine * right + cosine * below), -1)
        return offset + offset.new_tensor(self.centre)

    def fractions(self, places: Tensor) -> Tensor:
        """Where points of the picture ``(..., 2)`` lie in the square, the inverse of :meth:`places`: ``(..., 2)``."""
        cosine, sine = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        x, y = (places - places.new_tensor(self.centre)).unbind(-1)
        return torch.stack((cosine * x + sine * y, cosine * y - sine * x), -1) / self.side + 0.5


def landmark_square(landmarks: Tensor, scale: float, shift: float, *, turned: bool) -> Square:
    """The square that LivePortrait cuts round a face.

    Args:
        landmarks: 68 points in pixels, ``(68, 2)``.
        scale: its side over the longer side of the landmarks' box.
        shift: of its centre from that of the box towards the chin, over its side.
        turned: until the line from eyes to mouth stands upright; otherwise as the picture stands.
    """
    check_shape(landmarks, (68, 2), "landmarks")
    points = landmarks.double()
    eyes = (points[list(LEFT_CORNERS)].mean(0) + points[list(RIGHT_CORNERS)].mean(0)) / 2
    down = points[list(MOUTH_CORNERS)].mean(0) - eyes
    if not turned or down.norm() < SHORTEST:
        down = down.new_tensor([0.0, 1.0])
    down = down / down.norm()
    right = torch.stack((down[1], -down[0]))
    axes = torch.stack((right, down))
    along = points @ axes.T
    low, high = along.amin(0), along.amax(0)
    side = scale * (high - low).max()
    centre = (low + high) / 2 @ axes + shift * side * down
    turn = math.degrees(math.atan2(float(right[1]), float(right[0])))
    return Square((float(centre[0]), float(centre[1])), float(side), turn)


@dataclass(frozen=True)
class UprightPortrait:
    """A picture and the turned square of it that is animated.

    Args:
        picture: RGB ``(H, W, 3)``.
        frame: the square; what it holds beyond the picture is black.
        notes: what a user should know about how the square was chosen.
    """

    picture: NDArray[np.uint8]
    frame: Square
    notes: tuple[str, ...] = ()

    @property
    def square(self) -> NDArray[np.uint8]:
        """What is animated, ``(side, side, 3)``: a pixel of it is as large as one of the picture."""
        count = max(1, round(self.frame.side))
        along = (torch.arange(count) + 0.5) / count
        down, across = torch.meshgrid(along, along, indexing="ij")
        pixels = torch.as_tensor(np.ascontiguousarray(self.picture)).movedim(-1, 0)[None].float()
        size = torch.tensor([self.picture.shape[1], self.picture.shape[0]])
        grid = 2 * self.frame.places(across, down) / size - 1
        seen = functional.grid_sample(pixels, grid[None].float(), align_corners=False)[0]
        return seen.round().clamp(0, 255).byte().movedim(0, -1).contiguous().numpy()

    def paste(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn animated squares back into the full picture; they fade out towards their border.

        Args:
            frames: ``(n, size, size, 3)``.

        Returns:
            ``(n, H, W, 3)``.
        """
        place = self._place
        side = min(frames.shape[1], max(1, round(self.frame.side)))
        pictures = np.repeat(self.picture[None], len(frames), axis=0)
        for picture, frame in zip(pictures, frames, strict=True):  # one by one: the picture may be large
            drawn = resize(to_float(frame)[None], side)
            turned = functional.grid_sample(drawn, place.grid, padding_mode="border", align_corners=False)[0]
            blended = place.own + place.weight * (turned - place.own)
            picture[place.rows, place.columns] = to_uint8(blended).numpy()
        return pictures

    @functools.cached_property
    def _place(self) -> "_Place":
        height, width = self.picture.shape[:2]
        corners = self.frame.places(torch.tensor([0.0, 1, 1, 0]), torch.tensor([0.0, 0, 1, 1]))
        (left, top), (right, bottom) = corners.amin(0).floor().int().tolist(), corners.amax(0).ceil().int().tolist()
        rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
        y, x = torch.meshgrid(
            torch.arange(rows.start, rows.stop) + 0.5, torch.arange(columns.start, columns.stop) + 0.5, indexing="ij"
        )
        places = self.frame.fractions(torch.stack((x, y), -1))
        weight = fade(torch.minimum(places, 1 - places) / BORDER).prod(-1)
        own = to_float(np.ascontiguousarray(self.picture[rows, columns]))
        return _Place(rows, columns, (2 * places - 1).float()[None], weight, own)


class _Place(NamedTuple):
    """Where in the picture an animated square goes, the same for every frame.

    Args:
        rows, columns: the part of the picture that it touches, h by w.
        grid: where the square is read for each of its pixels, ``(1, h, w, 2)``.
        weight: share of the square, ``(h, w)`` in ``[0, 1]``.
        own: the picture there, ``(3, h, w)``.
    """

    rows: slice
    columns: slice
    grid: Tensor
    weight: Tensor
    own: Tensor
