"""Geometry conventions: one rotation matrix, one sampling grid, each written with its formula.

Coordinates are x right, y down, z into the screen, in ``[-1, 1]``; head pose is (yaw, pitch, roll) in degrees.
"""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape


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
    yaw, pitch, roll = torch.deg2rad(pose).unbind(-1)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).reshape(*yaw.shape, 3, 3)

    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_z @ about_y @ about_x


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
    relative = first.transpose(-1, -2) @ second
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))  # rounding can leave [-1, 1] by 1e-7


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
