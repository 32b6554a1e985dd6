"""Where the face of a video is, frame after frame, and the mouth in it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.images import resize, to_float, to_uint8
from talkingface.pipelines.face import find_faces
from talkingface.pipelines.portrait import Box, face_square
from talkingface.pipelines.upright import fade

ASTRAY = 0.15  # of the square's side, that a face may move from its middle before the square is cut anew
RESIZED = 1.25  # or grow or shrink by
# The mouth's ellipse in distances from eyes to mouth: how far its middle lies below the mouth, and half its axes; it
# reaches from below the eyes to below the chin of a mouth that is open.
BELOW, ASIDE, DOWN = 0.15, 1.05, 1.0
SOFT = 0.35  # share of its radius in which it fades


@dataclass(frozen=True)
class FoundFace:
    """A face in a frame.

    Args:
        box: the square that is shown to the model.
        points: left eye, right eye, nose, left and right corner of the mouth, in pixels of the frame ``(5, 2)``.
    """

    box: Box
    points: Tensor

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The square, ``(side, side, 3)``; a view."""
        left, top, side = self.box
        return frame[top : top + side, left : left + side]

    def paste(self, frame: NDArray[np.uint8], drawn: NDArray[np.uint8]) -> None:
        """Put the mouth of a drawn square ``(size, size, 3)`` into the frame; all else of it is left as it is."""
        own = to_float(np.ascontiguousarray(self.cut(frame)))
        new = resize(to_float(drawn)[None], self.box[2])[0]
        self.cut(frame)[:] = to_uint8(own + self.mouth() * (new - own)).numpy()

    def mouth(self) -> Tensor:
        """Share of the drawn mouth in each pixel of the square, ``(side, side)`` in ``[0, 1]``."""
        left, top, side = self.box
        eyes, mouth = self.points[:2].mean(0), self.points[3:].mean(0)
        unit = (mouth - eyes).norm().clamp(min=1.0)
        place = torch.arange(side)
        across = (place + left - mouth[0]) / (ASIDE * unit)
        down = (place + top - mouth[1] - BELOW * unit) / (DOWN * unit)
        radius = (across[None].square() + down[:, None].square()).sqrt()
        return fade((1 - radius) / SOFT)


class FaceTrail:
    """Follows one face through a video, a frame at a time, so that nothing of the video is held.

    It is the largest face of the first frame that has one; from then on the one that overlaps most with where it was.
    Where none does, as after a cut between shots, it is the largest again. The square stays where it is as long as the
    face stays in it, so that it does not tremble.
    """

    def __init__(self) -> None:
        self._face: Tensor | None = None  # x1, y1, x2, y2
        self._box: Box | None = None
        self._middle, self._size = torch.zeros(2), 1.0  # of the face when the square was cut

    def follow(self, frames: NDArray[np.uint8]) -> list[FoundFace | None]:
        """The face of each frame ``(n, H, W, 3)`` in order; none where there is none."""
        height, width = frames.shape[1:3]
        return [self._next(boxes, points, height, width) for boxes, points in find_faces(frames)]

    def _next(self, boxes: Tensor, points: Tensor, height: int, width: int) -> FoundFace | None:
        if not len(boxes):
            return None
        size = boxes[:, 2:] - boxes[:, :2]
        chosen = int(size.prod(1).argmax())
        if self._face is not None:
            shared = torch.minimum(boxes[:, 2:], self._face[2:]) - torch.maximum(boxes[:, :2], self._face[:2])
            common = shared.clamp(min=0).prod(1)
            if common.any():
                chosen = int(common.argmax())
        self._face = boxes[chosen]
        middle, longer = (self._face[:2] + self._face[2:]) / 2, float(size[chosen].max())
        if self._box is None or self._strayed(middle, longer):
            self._box, self._middle, self._size = face_square(self._face.tolist(), height, width), middle, longer
        return FoundFace(self._box, points[chosen])

    def _strayed(self, middle: Tensor, longer: float) -> bool:
        assert self._box is not None
        away = (middle - self._middle).abs().max() > ASTRAY * self._box[2]
        return bool(away) or not 1 / RESIZED < longer / self._size < RESIZED
