"""The mouth inside: backs of the lips, two rows of teeth, tongue, and the dark behind."""

import numpy as np
from numpy.typing import NDArray

from .head import GRID, MOUTH_WIDTH, MOUTH_Y
from .identity import Identity
from .mesh import Part, grid_triangles, lattice, mouth_edge

Array = NDArray[np.float64]


def mouth(neutral: Array, identity: Identity) -> list[Part]:
    """All parts of the mouth for a sculpted skin with closed lips."""
    edge = neutral[mouth_edge(lower=False)]
    return [*_lip_backs(neutral), *_teeth(edge, identity), _tongue(edge), _bag(neutral)]


def _lip_backs(neutral: Array) -> list[Part]:
    parts = []
    for lower, up in ((False, -1.0), (True, 1.0)):
        edge = mouth_edge(lower)
        count = len(edge)
        steps = ((0.0, 0.0), (0.008, 0.02), (0.03, 0.055))  # into the lip, back
        rows = np.concatenate([neutral[edge] + np.array([0.0, up * into, back]) for into, back in steps])
        uv = np.stack([np.full(3 * count, 0.5), np.repeat([0.05, 0.45, 0.95], count)], 1)
        dark = np.repeat([0.9, 0.65, 0.35], count)
        tied = np.tile(edge, 3)
        parts.append(Part(rows, grid_triangles(3, count), "gum", uv, dark, 0.25, 30.0, tied=tied, double_sided=True))
    return parts


def _teeth(edge: Array, identity: Identity) -> list[Part]:
    half = 0.74 * MOUTH_WIDTH * identity.mouth_width
    line = float(edge[:, 1].mean())
    parts = []
    for top, bottom, back, jaw, tile in ((-0.075, 0.026, 0.050, 0.0, "teeth"), (0.010, 0.075, 0.066, 1.0, "teeth_low")):
        x, y = lattice(np.linspace(top, bottom, 4), np.linspace(-half, half, 17))
        arch = np.interp(x, edge[:, 0], edge[:, 2]) + back + 1.4 * x**2
        uv = np.stack([x / half * 0.48 + 0.5, (y - top) / (bottom - top)], 1)
        shade = (1 - 0.75 * (np.abs(x) / half) ** 2) * 0.82
        parts.append(
            Part(np.stack([x, line + y, arch], 1), grid_triangles(4, 17), tile, uv, shade, 0.35, 40.0, jaw=jaw)
        )
    return parts


def _tongue(edge: Array) -> Part:
    x, y = lattice(np.linspace(-0.05, 0.05, 6), np.linspace(-0.14, 0.14, 9))
    dome = np.sqrt(np.clip(1 - (x / 0.15) ** 2 - (y / 0.055) ** 2, 0, 1))
    position = np.stack([x, edge[:, 1].mean() + 0.085 + y, edge[:, 2].min() + 0.20 - 0.09 * dome], 1)
    return Part(position, grid_triangles(6, 9), "gum", np.full((54, 2), [0.5, 0.25]), 0.55, 0.3, 25.0, jaw=0.85)


def _bag(neutral: Array) -> Part:
    """The dark behind the lips, tied to the skin in front of it, so that it can never show through."""
    columns = np.flatnonzero(np.abs(GRID.columns) < 0.5)
    rows = np.flatnonzero((GRID.rows > MOUTH_Y - 0.12) & (GRID.rows < MOUTH_Y + 0.13))
    tied = GRID.upper_index[np.ix_(rows, columns)].ravel()
    x, y = lattice(np.linspace(-1, 1, len(rows)), np.linspace(-1, 1, len(columns)))
    rim = np.maximum(np.abs(x), np.abs(y))
    position = neutral[tied] + np.stack([np.zeros_like(x), np.zeros_like(x), 0.04 + 0.16 * (1 - rim**3)], 1)
    uv = np.full((len(tied), 2), [0.5, 0.9])
    return Part(position, grid_triangles(len(rows), len(columns)), "gum", uv, 0.13, tied=tied)
