"""How far a head is turned, from the five points that the face detector gives."""

import functools

import torch
from torch import Tensor

from talkingface.core.geometry import euler
from talkingface.metrics.head_pose import face_template

PARTS = (range(36, 42), range(42, 48), (30,), (48,), (54,))  # eyes, nose, corners of the mouth among 68 points


def pose_of(points: Tensor) -> Tensor:
    """Head pose by the scaled orthographic fit of an average face to five points (DeMenthon and Davis 1995, POS).

    Args:
        points: in pixels, ``(n, 5, 2)``.

    Returns:
        Yaw, pitch, roll in degrees, ``(n, 3)``.
    """
    centred = points.double() - points.double().mean(1, keepdim=True)
    projection = (torch.linalg.pinv(_five()) @ centred).mT
    left, _, right = torch.linalg.svd(projection, full_matrices=False)
    rows = left @ right
    return euler(torch.cat((rows, torch.linalg.cross(rows[:, :1], rows[:, 1:])), 1)).float()


@functools.cache
def _five() -> Tensor:
    points = torch.stack([face_template()[list(part)].mean(0) for part in PARTS])
    return points - points.mean(0)
