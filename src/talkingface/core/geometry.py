"""Geometry conventions: one rotation matrix, one sampling grid, each written with its formula.

Coordinates are x right, y down, z into the screen, in ``[-1, 1]``; head pose is (yaw, pitch, roll) in degrees.
"""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape

LIVEPORTRAIT_BINS = 97.5  # degrees below zero of the first of 66 bins: a uniform distribution is 0 degrees
HOPENET_BINS = 99.0  # Hopenet's and face-vid2vid's, whose uniform distribution is -1.5 degrees
BIN_WIDTH = 3.0  # degrees
FACE_VID2VID_PI = 3.14  # as its unofficial implementation turns degrees into radians


def rotation(pose: Tensor) -> Tensor:
    """Rotation matrix of a head pose: ``R = Rz(roll) Ry(yaw) Rx(pitch)``, acting on column vectors.

    ``Rx(a) = [[1,0,0],[0,c,-s],[0,s,c]]``, ``Ry(a) = [[c,0,s],[0,1,0],[-s,0,c]]``,
    ``Rz(a) = [[c,-s,0],[s,c,0],[0,0,1]]``.
    With z into the screen the nose points to -z: positive yaw turns it to the left of the picture, positive pitch
    downwards; positive roll turns the head clockwise as seen on the screen.

    Args:
        pose: yaw, pitch, roll in degrees, ``(..., 3)``.

    Returns:
        ``(..., 3, 3)``.

    >>> nose = torch.tensor([0.0, 0.0, -1.0])
    >>> (rotation(torch.tensor([90.0, 0.0, 0.0])) @ nose).round().tolist()
    [-1.0, 0.0, 0.0]
    """
    check_shape(pose, (..., 3), "pose")
    about_x, about_y, about_z = _turns(torch.deg2rad(pose))
    return about_z @ about_y @ about_x


def euler(matrix: Tensor) -> Tensor:
    """Yaw, pitch and roll of a head rotation: the inverse of :func:`rotation`.

    3DDFA_V2 gives the same angles with the opposite sign of yaw.

    Args:
        matrix: rotation matrices, ``(..., 3, 3)``.

    Returns:
        Degrees ``(..., 3)``: yaw in ``[-90, 90]``, pitch and roll in ``[-180, 180]``.

    >>> euler(rotation(torch.tensor([20.0, -10.0, 5.0]))).round().tolist()
    [20.0, -10.0, 5.0]
    """
    check_shape(matrix, (..., 3, 3), "matrix")
    yaw = torch.asin((-matrix[..., 2, 0]).clamp(-1, 1))  # rounding can leave [-1, 1] by 1e-7
    pitch = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    roll = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.rad2deg(torch.stack((yaw, pitch, roll), -1))


def liveportrait_rotation(pose: Tensor) -> Tensor:
    """LivePortrait's stored matrix of the same angles: ``(Rz Ry Rx)ᵀ``, for keypoints as row vectors.

    Args:
        pose: yaw, pitch, roll in degrees, ``(..., 3)``.

    Returns:
        ``(..., 3, 3)``; its transpose is :func:`rotation`.
    """
    return rotation(pose).mT


def facevid2vid_rotation(pose: Tensor) -> Tensor:
    """The unofficial face-vid2vid's matrix of the same angles: ``Rx(pitch) Ry(yaw) Rz(roll)``, with 3.14 for π.

    Not :func:`rotation`: with the same angles the heads differ by 10 degrees and more.

    Args:
        pose: yaw, pitch, roll in degrees, ``(..., 3)``.

    Returns:
        ``(..., 3, 3)``, acting on column vectors.
    """
    check_shape(pose, (..., 3), "pose")
    about_x, about_y, about_z = _turns(pose * FACE_VID2VID_PI / 180)
    return about_x @ about_y @ about_z


def expected_degrees(logits: Tensor, first_bin: float) -> Tensor:
    """Angle from a distribution over bins: three degrees times the expected bin, minus where the bins start.

    Args:
        logits: of 66 bins, ``(..., 66)``.
        first_bin: :data:`LIVEPORTRAIT_BINS` or :data:`HOPENET_BINS`.

    Returns:
        Degrees, ``(...)``.

    >>> expected_degrees(torch.zeros(66), LIVEPORTRAIT_BINS).round(decimals=3).item()
    0.0
    """
    check_shape(logits, (..., 66), "logits")
    bins = torch.arange(66, dtype=logits.dtype, device=logits.device)
    return (logits.softmax(-1) * bins).sum(-1) * BIN_WIDTH - first_bin


def _turns(radians: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations about x by pitch, about y by yaw, about z by roll, from ``(..., 3)`` yaw, pitch, roll."""
    yaw, pitch, roll = radians.unbind(-1)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).reshape(*yaw.shape, 3, 3)

    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_x, about_y, about_z


def geodesic_angle(first: Tensor, second: Tensor) -> Tensor:
    """Angle between two head rotations, in degrees.

    Euler triples of one rotation differ between conventions by 10 degrees and more, so pose is always compared on
    rotation matrices.

    Args:
        first, second: rotation matrices, ``(..., 3, 3)``.

    Returns:
        Angle in ``[0, 180]``, ``(...)``.

    >>> turned = rotation(torch.tensor([30.0, 0.0, 0.0]))
    >>> round(geodesic_angle(torch.eye(3), turned).item(), 2)
    30.0
    """
    check_shape(first, (..., 3, 3), "first")
    check_shape(second, (..., 3, 3), "second")
    relative = first.mT @ second
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    sine = (relative - relative.mT).square().sum((-2, -1)).sqrt() / 8**0.5
    return torch.rad2deg(torch.atan2(sine, cosine))  # an arc cosine would make 0.03 degrees of rounding near 0


def base_grid(height: int, width: int, like: Tensor) -> Tensor:
    """The grid of no motion, as every published renderer builds it: corner-aligned.

    It is meant for :func:`sample`, which reads it with ``align_corners=False``; the mismatch (a zoom by r/(r-1)) is
    part of every published weight.

    Args:
        height, width: size in pixels.
        like: a tensor whose device and type to take.

    Returns:
        ``(1, height, width, 2)``, x then y, in ``[-1, 1]``.
    """
    x = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    y = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((grid_x, grid_y), -1).unsqueeze(0)


def sample(features: Tensor, grid: Tensor) -> Tensor:
    """Warp a map: bilinear, zeros outside, ``align_corners=False`` (the convention of the published weights).

    Args:
        features: ``(B, C, H, W)``.
        grid: where to read, ``(B, h, w, 2)``, x then y, normalised.

    Returns:
        ``(B, C, h, w)``.
    """
    return functional.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
