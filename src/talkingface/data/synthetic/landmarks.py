"""The 68 iBUG landmarks as points of the skin grid.

Order, as seen in the picture: 0–16 jaw from left to right, 17–21 left brow, 22–26 right brow, 27–30 bridge to tip of
the nose, 31–35 nostrils, 36–41 left eye, 42–47 right eye, 48–59 outer lips, 60–67 inner lips. The jaw line is fixed to
the skin (a "3D" annotation): it does not slide along the silhouette when the head turns.
"""

import numpy as np
from numpy.typing import NDArray

from .head import EYE_WIDTH, EYE_X, EYE_Y, GRID, MOUTH_WIDTH, MOUTH_Y, TIP_Y, azimuth_at, lip_heights
from .identity import Identity
from .texture import BROW_INNER, BROW_OUTER, brow_line

_JAW = ((88, -0.04), (88, 0.14), (87, 0.32), (84, 0.49), (76, 0.64), (62, 0.755), (43, 0.835), (21, 0.88), (0, 0.895))


def landmark_weights(identity: Identity) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Vertices ``(68, 4)`` and weights ``(68, 4)`` whose weighted sum is each landmark."""
    points: list[tuple[float, float, str]] = []  # azimuth, row key, edge of a slit

    def add(x: float, y: float, edge: str = "") -> None:
        points.append((float(azimuth_at(np.array(x), np.array(y))), y, edge))

    points += [(-np.deg2rad(degrees), key, "") for degrees, key in _JAW]
    points += [(np.deg2rad(degrees), key, "") for degrees, key in _JAW[-2::-1]]
    for side, order in ((-1, (1.0, 0.75, 0.5, 0.25, 0.0)), (1, (0.0, 0.25, 0.5, 0.75, 1.0))):
        for q in order:
            centre, half = brow_line(np.array(q), identity)
            add(side * (BROW_INNER + q * (BROW_OUTER - BROW_INNER)), float(centre - 0.4 * half))
    for y in (-0.09, 0.02, 0.135, TIP_Y):
        add(0.0, y)
    for x, y in ((-0.11, 0.295), (-0.055, 0.325), (0.0, 0.338), (0.055, 0.325), (0.11, 0.295)):
        add(x, y)
    for side in (-1, 1):
        corner = -1 if side < 0 else 1  # q = 1 is the outer corner on both sides
        along = [1.0, 0.33, -0.33, -1.0, -0.33, 0.33] if corner < 0 else [-1.0, -0.33, 0.33, 1.0, 0.33, -0.33]
        for q, edge in zip(along, ("", "upper", "upper", "", "lower", "lower"), strict=True):
            add(side * (EYE_X + q * EYE_WIDTH), EYE_Y, edge)
    for q in (-1.0, -0.55, -0.22, 0.0, 0.22, 0.55, 1.0):
        add(q * MOUTH_WIDTH, MOUTH_Y - float(lip_heights(np.array(q), identity)[0]))
    for q in (0.62, 0.3, 0.0, -0.3, -0.62):
        add(q * MOUTH_WIDTH, MOUTH_Y + float(lip_heights(np.array(q), identity)[1]))
    for q, edge in zip(
        (-0.88, -0.4, 0.0, 0.4, 0.88, 0.4, 0.0, -0.4), ("", *["upper"] * 3, "", *["lower"] * 3), strict=True
    ):
        add(q * MOUTH_WIDTH, MOUTH_Y, edge or "both")

    index, weight = np.zeros((68, 4), np.int64), np.zeros((68, 4), np.float32)
    for number, (azimuth, key, edge) in enumerate(points):
        column = int(np.clip(np.searchsorted(GRID.columns, azimuth, side="right") - 1, 0, len(GRID.columns) - 2))
        row = int(np.clip(np.searchsorted(GRID.rows, key, side="right") - 1, 0, len(GRID.rows) - 2))
        across = (azimuth - GRID.columns[column]) / (GRID.columns[column + 1] - GRID.columns[column])
        if edge:
            row = int(np.argmin(np.abs(GRID.rows - key)))
            upper, lower = GRID.upper_index[row, column : column + 2], GRID.lower_index[row, column : column + 2]
            share = {"upper": 1.0, "lower": 0.0, "both": 0.5}[edge]
            index[number] = [*upper, *lower]
            weight[number] = [share * (1 - across), share * across, (1 - share) * (1 - across), (1 - share) * across]
        else:
            down = (key - GRID.rows[row]) / (GRID.rows[row + 1] - GRID.rows[row])
            index[number] = [
                *GRID.lower_index[row, column : column + 2],
                *GRID.upper_index[row + 1, column : column + 2],
            ]
            weight[number] = [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across]
    return index, weight
