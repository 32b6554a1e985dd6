"""Motion that a video or a picture drives: what is seen of it, and how the portrait follows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.gaps import filled
from talkingface.core.media import VideoReader, is_picture, read_picture
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.motion import driving
from talkingface.motion.driving import Region
from talkingface.pipelines.animation import FPS
from talkingface.pipelines.face import Landmarks, find_boxes
from talkingface.pipelines.portrait import Box, Crop, box_inside, face_square
from talkingface.pipelines.upright import DRIVING, landmark_square

LOOK = 5  # frames from one look for the face to the next, where a fixed crop is chosen

Follow = Callable[[Tensor, Tensor], Tensor]
"""Motion ``(n, D)`` of driving frames, and ``(1, D)`` of the first, → motion of the portrait ``(n, D)``."""


class StillPicture:
    """A picture as a clip of one frame.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._picture = read_picture(path)

    def __len__(self) -> int:
        """One frame."""
        return 1

    def stream(self, batch: int = 1) -> Iterator[NDArray[np.uint8]]:
        """The picture, ``(1, H, W, 3)``."""
        yield self._picture[None]


class DrivenMotion:
    """What drives a portrait by a video or a still picture.

    Args:
        path: the file; a video is read at 25 frames a second.
        motion_of: frames ``(n, H, W, 3)`` → motion ``(n, D)``; it sees their centre square.
        follow: the portrait's motion from that.
    """

    def __init__(self, path: str | Path, motion_of: Callable[[NDArray[np.uint8]], Tensor], follow: Follow) -> None:
        path = Path(path)
        self.clip: StillPicture | VideoReader = StillPicture(path) if is_picture(path) else VideoReader(path, fps=FPS)
        heard = isinstance(self.clip, VideoReader) and self.clip.info.audio
        self.sound = path if heard else None
        self.files = {"driving video" if isinstance(self.clip, VideoReader) else "driving picture": path}
        self.notes: tuple[str, ...] = ()
        self.box: Box | None = None
        self._motion_of = motion_of
        self._follow = follow

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.clip)

    def crop(self, crop: Crop, landmarks: Landmarks) -> None:
        """See only a fixed square round the face, averaged over the clip; every fifth frame is looked at.

        Args:
            crop: how the portrait was cut: ``"landmarks"`` cuts as LivePortrait does, anything else as the training
                clips were cut.
            landmarks: finds the landmarks.

        Raises:
            MediaError: when no frame shows a face.
        """
        looks = [frames[:1] for frames in self.clip.stream(LOOK)]
        height, width = looks[0].shape[1:3]
        find = landmarks if crop == "landmarks" else find_boxes
        found = torch.cat([find(frame) for frame in looks])
        faces = found[~found.flatten(1).isnan().any(-1)]
        if not len(faces):
            raise MediaError(
                f"no face found in {next(iter(self.files.values()))}. Give a clip of one visible face, or leave its "
                "centre square as it is, without --crop-driving."
            )
        if crop == "landmarks":
            squares = [landmark_square(face, *DRIVING, turned=False) for face in faces]
            x, y, side = np.mean([(*square.centre, square.side) for square in squares], axis=0).tolist()
            self.box = box_inside(x, y, side, height, width)
        else:
            self.box = face_square(faces.mean(0).tolist(), height, width)

    def stream(self, batch: int) -> Iterator[Tensor]:
        """Motion ``(n, D)`` in order, up to ``batch`` frames at a time.

        Raises:
            MediaError: when the video cannot be decoded further.
        """
        start: Tensor | None = None
        last: Tensor | None = None
        for frames in self.clip.stream(batch):
            motion = filled(self._motion_of(self._seen(frames)), last)  # where no face was measured
            start = motion[:1] if start is None else start
            last = motion[-1:]
            yield self._follow(motion, start)

    def _seen(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.box is None:
            return frames
        left, top, side = self.box
        return frames[:, top : top + side, left : left + side]


def following(spec: MotionSpec, seen: Source, *, relative: bool | None, region: Region, still: bool) -> Follow:
    """How a portrait follows driving frames, by the rules of its motion's convention.

    Args:
        spec: of the motion.
        seen: the portrait.
        relative: from the first driving frame on, instead of taking the motion over; ``None`` as the method was
            published: relative where keypoints move, except face-vid2vid's by a picture.
        region: of the face that follows.
        still: whether a single picture drives.

    Raises:
        ConfigError: for a region that the motion does not have, or relative motion by a picture where no rule for
            that was published.
    """
    own, convention = seen.motion, spec.convention
    if relative and still and convention != "liveportrait":
        raise ConfigError("a single picture shows no change to add to the portrait; leave --relative, or give a video.")
    if convention is None:
        if region != "all":
            raise ConfigError(
                f"this model's motion ({', '.join(spec.slices)}) has no region '{region}'; it moves whole."
            )
        return (lambda now, start: now - start + own) if relative else (lambda now, start: now)
    driving.check_region(region, spec)
    if relative is None:
        relative = convention == "liveportrait" or not still
    if not relative:
        return lambda now, start: driving.absolute(own, now, region, spec)
    if convention == "liveportrait" and still:
        return lambda now, start: driving.by_picture(own, now, region, spec)
    if convention == "liveportrait":
        return lambda now, start: driving.relative(own, now, start, region, spec)
    assert seen.canonical is not None
    canonical = seen.canonical
    return lambda now, start: driving.keypoint_relative(own, now, start, canonical, region, spec)
