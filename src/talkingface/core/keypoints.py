"""Where motion puts the canonical keypoints of a face: the two published conventions, and the way between them.

Keypoints are ``(..., K, 3)`` in ``[-1, 1]``; expression is keypoint-major, ``(..., 3K)``; pose is (yaw, pitch, roll) in
degrees *of the convention*, whose rotations differ by 10 degrees and more on the same angles.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.geometry import FACE_VID2VID_PI, euler, facevid2vid_rotation, rotation

KeypointConvention = Literal["liveportrait", "facevid2vid"]
KEYPOINT_CONVENTIONS: tuple[KeypointConvention, ...] = ("liveportrait", "facevid2vid")
LIPS = (6, 12, 14, 17, 19, 20)  # of LivePortrait's 21, whose places in the face its released weights fixed


def keypoint_slices(convention: KeypointConvention, count: int) -> dict[str, int]:
    """Names and widths of the motion that places ``count`` keypoints.

    >>> keypoint_slices("facevid2vid", 15)
    {'expression': 45, 'pose': 3, 'translation': 3}
    """
    slices = {"expression": 3 * count, "pose": 3, "translation": 3}
    return slices | {"scale": 1} if convention == "liveportrait" else slices


def place_keypoints(convention: KeypointConvention, motion: Mapping[str, Tensor], canonical: Tensor) -> Tensor:
    """Rotate, shift and scale canonical keypoints.

    LivePortrait: ``x = scale (R x_c + expression) + (t_x, t_y, 0)`` with ``R = Rz(roll) Ry(yaw) Rx(pitch)``.
    Face-vid2vid: ``x = R x_c + t + expression`` with ``R = Rx(pitch) Ry(yaw) Rz(roll)`` and 3.14 for π, as its
    unofficial implementation has it.

    Args:
        convention: whose motion it is.
        motion: ``expression`` ``(..., 3K)``, ``pose`` and ``translation`` ``(..., 3)``; LivePortrait's ``scale``
            ``(..., 1)``.
        canonical: ``(..., K, 3)``.

    Returns:
        ``(..., K, 3)``.

    Raises:
        ShapeError: when canonical is not ``(..., K, 3)`` for the K of the expression.
    """
    turned, shift, scale = _rigid(convention, motion, canonical)
    expression: Tensor = motion["expression"].unflatten(-1, (-1, 3))
    return scale * (turned + expression) + shift


def expression_to(
    convention: KeypointConvention, motion: Mapping[str, Tensor], canonical: Tensor, keypoints: Tensor
) -> Tensor:
    """The expression with which a motion puts canonical keypoints at given places; inverts :func:`place_keypoints`.

    What moves keypoints directly (stitching, retargeting, expression-friendly driving) stays motion in this way.

    Args:
        convention, motion, canonical: as for :func:`place_keypoints`; the motion's own expression is not used.
        keypoints: where they shall lie, ``(..., K, 3)``.

    Returns:
        Expression ``(..., 3K)``.
    """
    turned, shift, scale = _rigid(convention, motion, canonical)
    return ((keypoints - shift) / scale - turned).flatten(-2)


def _rigid(
    convention: KeypointConvention, motion: Mapping[str, Tensor], canonical: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated canonical keypoints ``(..., K, 3)``, shift ``(..., 1, 3)`` and scale ``(..., 1, 1)``."""
    check_shape(canonical, (..., motion["expression"].shape[-1] // 3, 3), "canonical keypoints")
    shift = motion["translation"].unsqueeze(-2)
    with torch.autocast(canonical.device.type, enabled=False):  # a keypoint in bfloat16 is off by a pixel
        if convention == "facevid2vid":
            return canonical @ facevid2vid_rotation(motion["pose"]).mT, shift, torch.ones_like(shift[..., :1])
        in_plane = torch.cat((shift[..., :2], torch.zeros_like(shift[..., 2:])), -1)
        return canonical @ rotation(motion["pose"]).mT, in_plane, motion["scale"].unsqueeze(-1)


def facevid2vid_euler(matrix: Tensor) -> Tensor:
    """Yaw, pitch and roll of a head rotation: the inverse of :func:`~.geometry.facevid2vid_rotation`.

    Args:
        matrix: rotation matrices, ``(..., 3, 3)``.

    Returns:
        Degrees ``(..., 3)`` of 3.14 to the half turn; yaw within ±90.

    >>> facevid2vid_euler(facevid2vid_rotation(torch.tensor([20.0, -10.0, 5.0]))).round().tolist()
    [20.0, -10.0, 5.0]
    """
    check_shape(matrix, (..., 3, 3), "matrix")
    yaw = torch.asin(matrix[..., 0, 2].clamp(-1, 1))  # rounding can leave [-1, 1] by 1e-7
    pitch = torch.atan2(-matrix[..., 1, 2], matrix[..., 2, 2])
    roll = torch.atan2(-matrix[..., 0, 1], matrix[..., 0, 0])
    return torch.stack((yaw, pitch, roll), -1) * 180 / FACE_VID2VID_PI


def to_facevid2vid(motion: Mapping[str, Tensor], canonical: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """LivePortrait's motion in face-vid2vid's convention, placing the same keypoints.

    Face-vid2vid has no scale: the canonical keypoints are scaled instead, so a changing size of the head makes them
    change.

    Args:
        motion: named parts in LivePortrait's convention.
        canonical: ``(..., K, 3)``.

    Returns:
        Named parts, and canonical keypoints ``(..., K, 3)``.
    """
    translation = motion["translation"] * motion["translation"].new_tensor((1.0, 1.0, 0.0))
    parts = {
        "expression": motion["scale"] * motion["expression"],
        "pose": facevid2vid_euler(rotation(motion["pose"])),
        "translation": translation,
    }
    return parts, motion["scale"].unsqueeze(-1) * canonical


def to_liveportrait(motion: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Face-vid2vid's motion in LivePortrait's convention, placing the same keypoints.

    LivePortrait drops the shift in depth, so it goes into the expression; the scale is 1.

    Args:
        motion: named parts in face-vid2vid's convention.

    Returns:
        Named parts in LivePortrait's convention, for the same canonical keypoints.
    """
    depth = motion["translation"] * motion["translation"].new_tensor((0.0, 0.0, 1.0))
    count = motion["expression"].shape[-1] // 3
    return {
        "expression": motion["expression"] + depth.repeat(*(1,) * (depth.ndim - 1), count),
        "pose": euler(facevid2vid_rotation(motion["pose"])),
        "translation": motion["translation"] - depth,
        "scale": torch.ones_like(depth[..., :1]),
    }
