"""The pieces that a head is assembled from: a mesh with its materials, and how it follows the skin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .head import EYE_WIDTH, EYE_X, EYE_Y, GRID, MOUTH_WIDTH, MOUTH_Y

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass
class Part:
    """A piece of mesh. Arrays have one row a vertex; scalars stand for all of them."""

    position: Array  # (V, 3)
    triangles: Indices  # (F, 3)
    tile: str  # name of a tile of the texture atlas
    uv: Array  # (V, 2) in [0, 1] of the tile
    occlusion: Array | float = 1.0  # ambient light that gets there
    shine: Array | float = 0.0  # strength of highlights
    gloss: float = 12.0  # narrowness of highlights
    follow: Array | float = 1.0  # 1 moves with the head, 0 with the shoulders
    jaw: Array | float = 0.0  # 1 moves with the jaw
    tied: Indices | None = None  # skin vertices whose expression movement it copies
    double_sided: bool = False


def grid_triangles(rows: int, columns: int) -> Indices:
    """Two triangles a cell of a row-major vertex grid, facing the viewer if columns run to the right."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def lattice(rows: Array, columns: Array) -> tuple[Array, Array]:
    """Column and row coordinate of every vertex of a grid."""
    across, down = np.meshgrid(columns, rows)
    return across.ravel(), down.ravel()


def mouth_edge(lower: bool) -> Indices:
    """Skin vertices along a lip's edge from corner to corner, left to right."""
    row = (GRID.lower_index if lower else GRID.upper_index)[int(np.argmin(np.abs(GRID.rows - MOUTH_Y)))]
    edge: Indices = row[np.abs(GRID.cx[row]) < MOUTH_WIDTH + 1e-6]
    return edge


def eye_edge(side: int, lower: bool) -> Indices:
    """Skin vertices along a lid's edge, left to right with corners; ``side`` 1 is the right of the picture."""
    row = (GRID.lower_index if lower else GRID.upper_index)[int(np.argmin(np.abs(GRID.rows - EYE_Y)))]
    edge: Indices = row[np.abs(GRID.cx[row] - side * EYE_X) < EYE_WIDTH + 1e-6]
    return edge
