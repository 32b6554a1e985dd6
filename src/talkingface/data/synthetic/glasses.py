"""Spectacles: two rims, a bridge and the temples to the ears."""

import numpy as np
from numpy.typing import NDArray

from .deform import eye_centre
from .head import skull, smoothstep
from .identity import Identity
from .mesh import Part, grid_triangles

Array = NDArray[np.float64]

_STEPS = 29
_HALF = np.array([0.170, 0.130])  # half width and height of a glass
_TUBE = np.array([-1.0, -0.3, 0.5, 1.0])  # across the frame, from inside to outside
_ROUND = np.array([0.0, 0.012, 0.010, -0.004])  # how far the frame bulges there


def glasses(identity: Identity, neutral: Array) -> list[Part]:
    """The identity's spectacles, fixed to the skull; nothing for who has none."""
    if identity.glasses == 0:
        return []
    thick = 0.010 + 0.008 * abs(identity.glasses)
    square = 2.0 if identity.glasses > 0 else 3.2  # exponent of the super-ellipse: round or angular rims
    turn = np.linspace(0, 2 * np.pi, _STEPS)
    power = 2 / square
    unit = np.stack(
        [np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power, np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power],
        1,
    )
    parts = []
    for side in (-1, 1):
        centre = eye_centre(neutral, side) + np.array([0.008 * side, 0.012, -0.31])
        rows = []
        for across, bulge in zip(_TUBE, _ROUND, strict=True):
            ring = unit * (_HALF + thick * across)
            bend = 0.12 * smoothstep(side * ring[:, 0], -0.05, 0.22)  # the rims follow the curve of the face
            rows.append(centre + np.stack([ring[:, 0], ring[:, 1], bend - bulge], 1))
        parts.append(_part(np.concatenate(rows), grid_triangles(len(_TUBE), _STEPS)[:, ::-1]))
        hinge = centre + np.array([side * (_HALF[0] + thick), -0.04, 0.11])
        around = skull(side * np.deg2rad(np.linspace(50, 95, 8)), np.full(8, -0.08), identity) * (1.05, 1.0, 1.05)
        line = np.concatenate([hinge[None], around])
        height = np.array([-1.0, 1.0])[:, None, None] * np.array([0.0, 0.018, 0.0])
        parts.append(_part((line + height).reshape(-1, 3), grid_triangles(2, 9)))
    left, right = (eye_centre(neutral, side) + np.array([-side * (_HALF[0] - 0.02), -0.02, -0.32]) for side in (-1, 1))
    s = np.linspace(0, 1, 9)[None, :, None]
    arch = np.concatenate([0 * s, -0.02 * np.sin(np.pi * s), -0.04 * np.sin(np.pi * s)], 2)
    height = np.array([-1.0, 1.0])[:, None, None] * np.array([0.0, 0.9 * thick, 0.0])
    bridge = (left + (right - left) * s + arch + height).reshape(-1, 3)
    return [*parts, _part(bridge, grid_triangles(2, 9))]


def _part(position: Array, triangles: NDArray[np.int64]) -> Part:
    uv = np.full((len(position), 2), 0.5)
    return Part(position, triangles, "frame", uv, 0.9, shine=0.5, gloss=30.0, double_sided=True)
