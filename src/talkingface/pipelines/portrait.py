"""The portrait: where its face is, the square that is animated, and the way back into the full picture."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError, ShapeError
from talkingface.core.images import resize, to_float, to_uint8
from talkingface.core.media import VideoReader, is_video, read_picture
from talkingface.pipelines.face import Landmarks, find_landmarks
from talkingface.pipelines.upright import BORDER, PORTRAIT, UprightPortrait, fade, landmark_square

Box = tuple[int, int, int]  # x and y of the upper left corner, side; pixels
Crop = Literal["auto", "none", "landmarks"] | Box

MARGIN = 1.6  # side of the crop over the longer side of the face's box, as the training clips were cut
PREPARED = 0.65  # of the side: a square picture with a larger crop is one already (99 % of prepared clips are larger)
MEND = "Give a picture with one visible face, --crop x,y,side in pixels, or --crop none to take the centre square."


@dataclass(frozen=True)
class Portrait:
    """A picture and the square of it that is animated.

    Args:
        picture: RGB ``(H, W, 3)``.
        box: the square.
        notes: what a user should know about how the square was chosen.
    """

    picture: NDArray[np.uint8]
    box: Box
    notes: tuple[str, ...] = ()

    @property
    def square(self) -> NDArray[np.uint8]:
        """What is animated, ``(side, side, 3)``; a view."""
        left, top, side = self.box
        return self.picture[top : top + side, left : left + side]

    def paste(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put animated squares back into the full picture.

        The square fades out towards its border, except where that is the border of the picture itself.

        Args:
            frames: ``(n, size, size, 3)``.

        Returns:
            ``(n, H, W, 3)``.
        """
        left, top, side = self.box
        square = to_float(np.ascontiguousarray(self.square))
        weight = self._weight
        pictures = np.repeat(self.picture[None], len(frames), axis=0)
        for picture, frame in zip(pictures, frames, strict=True):  # one by one: the picture may be large
            drawn = resize(to_float(frame)[None], side)[0]
            picture[top : top + side, left : left + side] = to_uint8(square + weight * (drawn - square)).numpy()
        return pictures

    @functools.cached_property
    def _weight(self) -> Tensor:
        """Share of the animated square in each of its pixels, ``(side, side)`` in ``[0, 1]``."""
        left, top, side = self.box
        height, width = self.picture.shape[:2]
        place = torch.arange(side) / max(1.0, BORDER * side)

        def along(inside_before: bool, inside_after: bool) -> Tensor:
            before = place if inside_before else torch.ones(side)
            after = place.flip(0) if inside_after else torch.ones(side)
            return fade(torch.minimum(before, after))

        return along(top > 0, top + side < height)[:, None] * along(left > 0, left + side < width)


def read_portrait(
    source: str | Path | NDArray[np.uint8], crop: Crop = "auto", landmarks: Landmarks = find_landmarks
) -> Portrait | UprightPortrait:
    """Read a picture and choose the square that is animated.

    Args:
        source: a picture, a video of which the first frame is taken, or uint8 ``(H, W, 3)``.
        crop: ``"auto"`` cuts round the largest face as the training clips were cut (1.6 × its box, shifted into the
            picture) and leaves a square picture that is such a crop as it is; ``"landmarks"`` cuts as LivePortrait
            does, a square round the landmarks that is turned until the face stands upright; ``"none"`` takes the
            centre square; or the square itself.
        landmarks: finds the landmarks.

    Raises:
        MediaError: when the file cannot be read, or shows no face and is not square.
        ShapeError: when ``source`` is an array of another kind.
        ConfigError: when the square does not lie in the picture.
    """
    picture = source if isinstance(source, np.ndarray) else _read(source)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ShapeError(f"the portrait is {picture.dtype} {picture.shape}, expected uint8 (H, W, 3).")
    name = "the portrait" if isinstance(source, np.ndarray) else str(source)
    if crop == "auto":
        return _round_the_face(picture, name)
    if crop == "none":
        return Portrait(picture, _centre(picture))
    if crop == "landmarks":
        points = landmarks(picture[None])[0]
        if points.isnan().any():
            raise MediaError(f"no face found in {name} ({picture.shape[1]}×{picture.shape[0]}). {MEND}")
        return UprightPortrait(picture, landmark_square(points, *PORTRAIT, turned=True))
    if isinstance(crop, str):
        raise ConfigError(f"crop '{crop}' means nothing; give auto, none, landmarks, or x,y,side in pixels.")
    left, top, side = crop
    height, width = picture.shape[:2]
    if min(left, top) < 0 or side < 1 or left + side > width or top + side > height:
        raise ConfigError(
            f"the crop {left},{top},{side} (x,y,side) does not lie in {name}, which is {width}×{height} pixels."
        )
    return Portrait(picture, (left, top, side))


def _round_the_face(picture: NDArray[np.uint8], name: str) -> Portrait:
    from talkingface.metrics.faces import BOX, COUNT, FaceDetector  # seconds to import, and not needed for every crop
    from talkingface.metrics.track import Track

    height, width = picture.shape[:2]
    frame = torch.as_tensor(np.array(picture)).permute(2, 0, 1)[None]
    face = FaceDetector().extract(Track(frame, {}))[0]
    if face.isnan().any():
        if height != width:
            raise MediaError(f"no face found in {name} ({width}×{height}). {MEND}")
        return Portrait(picture, _centre(picture), (f"no face found in {name}: the whole square is animated.",))
    box = face_square(face[BOX].tolist(), height, width)
    if height == width and box[2] >= PREPARED * width:
        box = _centre(picture)
    if face[COUNT] == 1:
        return Portrait(picture, box)
    others = f"{face[COUNT]:.0f} faces found in {name}: the largest is animated; --crop x,y,side chooses another."
    return Portrait(picture, box, (others,))


def face_square(face: Sequence[float], height: int, width: int) -> Box:
    """The square that training would cut round a face: 1.6 × its box, no larger than the picture, shifted into it.

    Args:
        face: x1, y1, x2, y2 in pixels; it may reach over the border.
        height, width: of the picture.

    >>> face_square((40, 30, 60, 60), height=200, width=100)
    (26, 21, 48)
    >>> face_square((-10, 150, 30, 210), height=200, width=100)
    (0, 104, 96)
    """
    x1, y1, x2, y2 = face
    return box_inside((x1 + x2) / 2, (y1 + y2) / 2, MARGIN * max(x2 - x1, y2 - y1), height, width)


def box_inside(x: float, y: float, side: float, height: int, width: int) -> Box:
    """The square of a centre and a side in whole pixels, no larger than the picture and shifted into it."""
    size = min(round(side), height, width)
    left = min(max(round(x - size / 2), 0), width - size)
    top = min(max(round(y - size / 2), 0), height - size)
    return left, top, size


def _centre(picture: NDArray[np.uint8]) -> Box:
    height, width = picture.shape[:2]
    side = min(height, width)
    return (width - side) // 2, (height - side) // 2, side


def _read(path: str | Path) -> NDArray[np.uint8]:
    if is_video(path):
        with VideoReader(path, fps=None) as reader:
            frame: NDArray[np.uint8] = reader.read([0])[0]
            return frame
    return read_picture(path)
