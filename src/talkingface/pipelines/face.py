"""Where the landmarks of a face come from, and how far eyes and lips are open."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from talkingface.metrics import Extractor, FaceDetector

Landmarks = Callable[[NDArray[np.uint8]], Tensor]  # (n, H, W, 3) → 68 iBUG points in pixels (n, 68, 2), NaN: no face

MOUTH_CORNERS = (48, 54)


def find_landmarks(frames: NDArray[np.uint8]) -> Tensor:
    """68 points of the largest face of each frame, by MTCNN and 2DFAN-4.

    Args:
        frames: RGB ``(n, H, W, 3)``.

    Returns:
        Pixels ``(n, 68, 2)``, x then y; NaN where there is no face.

    Raises:
        WeightsError: when the weights of 2DFAN-4 are missing; it names the command that fetches them.
    """
    from talkingface.metrics import Track

    return Track(torch.from_numpy(np.array(frames)).movedim(-1, 1).contiguous(), _extractors()).feature("landmarks")


def find_boxes(frames: NDArray[np.uint8]) -> Tensor:
    """Box of the largest face of each frame, by MTCNN: ``(n, H, W, 3)`` → x1, y1, x2, y2 in pixels, ``(n, 4)``."""
    from talkingface.metrics import Track
    from talkingface.metrics.faces import BOX

    return _detector().extract(Track(torch.from_numpy(np.array(frames)).movedim(-1, 1).contiguous(), {}))[:, BOX]


def find_faces(frames: NDArray[np.uint8]) -> list[tuple[Tensor, Tensor]]:
    """All faces of each frame, by MTCNN.

    Args:
        frames: RGB ``(n, H, W, 3)``.

    Returns:
        For each frame x1, y1, x2, y2 in pixels ``(k, 4)``, and left eye, right eye, nose, left and right corner of the
        mouth ``(k, 5, 2)``; k may be 0.
    """
    from talkingface.metrics.faces import BOX, smallest_face

    pixels = torch.from_numpy(np.array(frames)).movedim(-1, 1).contiguous()
    found = _detector().detector.detect(pixels, smallest_face(pixels))
    return [(boxes[:, BOX], points) for boxes, points in found]


def eye_openings(landmarks: Tensor) -> Tensor:
    """Height over width of left and right eye: 68 points ``(n, 68, 2)`` → ``(n, 2)``, about 0.3 for an open one."""
    from talkingface.metrics.functional.blink import eye_aspect_ratios

    openings: Tensor = eye_aspect_ratios(landmarks).float()
    return openings


def lip_opening(landmarks: Tensor) -> Tensor:
    """Gap between the inner lips over the width of the mouth: 68 points ``(n, 68, 2)`` → ``(n, 1)``."""
    from talkingface.metrics.functional.landmarks import lip_opening as gap

    left, right = MOUTH_CORNERS
    width = (landmarks[:, left].double() - landmarks[:, right].double()).norm(dim=-1)
    opening: Tensor = (gap(landmarks) / width).float().unsqueeze(-1)
    return opening


@functools.cache
def _detector() -> "FaceDetector":
    from talkingface.metrics import FaceDetector

    return FaceDetector()


@functools.cache
def _extractors() -> "Mapping[str, Extractor]":
    from talkingface.metrics import FANLandmarks

    return {"face": _detector(), "landmarks": FANLandmarks()}
