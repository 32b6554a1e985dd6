"""Eyeballs, the rims of the lids, lashes and the reflection of the light."""

import numpy as np
from numpy.typing import NDArray

from .deform import EYE_RADIUS, eye_centre
from .head import EYE_WIDTH, EYE_X, GRID, smoothstep
from .identity import Identity
from .mesh import Part, eye_edge, grid_triangles, lattice

Array = NDArray[np.float64]

_TURN = np.linspace(0, 2 * np.pi, 8, endpoint=False)
_RIM = np.stack([np.cos(_TURN), np.sin(_TURN), np.zeros(8)], 1)
GLINT_DISC = 0.0155 * np.concatenate([np.zeros((1, 3)), _RIM])  # centre and rim, in head units


def eyeball(neutral: Array, side: int) -> Part:
    """Front half of an eyeball; its texture turns with the gaze, so the mesh need not."""
    polar, turn = np.deg2rad(np.linspace(0, 88, 13)), np.linspace(0, 2 * np.pi, 25)
    angle, radius = lattice(polar, turn)
    x, y = np.sin(radius) * np.cos(angle), np.sin(radius) * np.sin(angle)
    position = eye_centre(neutral, side) + EYE_RADIUS * np.stack([x, y, -np.cos(radius)], 1)
    uv = 0.5 + 0.5 * np.stack([x, y], 1) / 1.6  # 1.6 leaves room for the gaze to shift the texture
    lid = 0.55 + 0.45 * smoothstep(y, -0.75, 0.05)  # the upper lid and lashes throw a shadow
    corner = 1 - 0.45 * np.clip(np.abs(x) / 0.85, 0, 1) ** 3
    triangles = grid_triangles(13, 25)[:, ::-1]
    return Part(position, triangles, "eye", uv, lid * corner, shine=0.25, gloss=40.0, double_sided=True)


def lid_rims(surface: Array, side: int) -> list[Part]:
    """Wet edges of both lids, reaching back to the eyeball so that no glance slips in between."""
    parts = []
    for lower in (False, True):
        edge = eye_edge(side, lower)
        rows = np.concatenate([surface[edge], surface[edge] + np.array([0.0, 0.0, 0.07])])
        count = len(edge)
        uv = np.full((2 * count, 2), [0.5, 0.5])
        shade = np.repeat([0.85, 0.35], count)
        tied = np.tile(edge, 2)
        parts.append(Part(rows, grid_triangles(2, count), "lid", uv, shade, 0.2, 30.0, tied=tied, double_sided=True))
    return parts


def lashes(surface: Array, side: int) -> Part:
    """Upper lashes: a dark band that stands off the edge of the lid and is longest at the outer corner."""
    edge = eye_edge(side, lower=False)
    outer = side * (GRID.cx[edge] - side * EYE_X) / EYE_WIDTH
    root = surface[edge] - np.array([0.0, -0.004, 0.003])
    reach = 0.35 + 0.65 * smoothstep(outer, -0.9, 0.6)
    lean = np.stack([0.022 * side * (outer + 0.4), np.full_like(outer, -0.012), np.full_like(outer, -0.03)], 1)
    count = len(edge)
    uv = np.full((2 * count, 2), 0.5)  # the black of the pupil
    rows = np.concatenate([root + reach[:, None] * lean, root])
    return Part(rows, grid_triangles(2, count), "eye", uv, 0.6, tied=np.tile(edge, 2), double_sided=True)


def glint(neutral: Array, side: int) -> Part:
    """Reflection of the key light on an eye: a small disc whose place on the ball the renderer finds."""
    count = len(GLINT_DISC)
    rim = np.arange(1, count)
    fan = np.stack([np.zeros_like(rim), rim, np.roll(rim, -1)], 1)
    return Part(np.tile(eye_centre(neutral, side), (count, 1)), fan, "white", np.full((count, 2), 0.5))


def glint_offset(identity: Identity) -> Array:
    """From the centre of an eyeball to the vertices of its glint, fixed in the room whatever the head does."""
    half = identity.key_direction() + np.array([0.0, 0.0, -1.0])
    offset: Array = 1.03 * EYE_RADIUS * half / np.linalg.norm(half) + GLINT_DISC
    return offset
