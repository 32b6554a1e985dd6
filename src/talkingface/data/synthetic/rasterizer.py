"""Scan-line rasteriser with a depth buffer, vectorised over all triangles of a frame in numpy.

Every triangle is cut into the spans it covers on the sample rows, and every span into samples; no sample outside a
triangle is ever visited, which is what makes a few thousand small triangles cheap without a loop.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Fragments:
    """The visible samples of a frame: flat sample index ``(N,)`` and interpolated attributes ``(N, A)``."""

    sample: Ints
    values: Floats


def rasterize(
    position: Floats, values: Floats, triangles: Ints, width: int, double_sided: NDArray[np.bool_]
) -> Fragments:
    """Find the nearest triangle at every sample and interpolate vertex values there.

    Args:
        position: vertices ``(V, 3)`` as x right, y down in samples (centre of sample 0 is 0), z away from the viewer.
        values: vertex attributes ``(V, A)``; interpolated affinely, which is exact for a parallel projection.
        triangles: vertex indices ``(F, 3)``, clockwise on the screen (y down) where the front is seen.
        width: rows and columns of the square sample grid.
        double_sided: ``(F,)`` whether the back is drawn too.

    Returns:
        The visible samples, each once.
    """
    x, y, z = (np.ascontiguousarray(position[:, axis]) for axis in range(3))
    ax, ay = x[triangles[:, 0]], y[triangles[:, 0]]
    ux, uy = x[triangles[:, 1]] - ax, y[triangles[:, 1]] - ay
    vx, vy = x[triangles[:, 2]] - ax, y[triangles[:, 2]] - ay
    area = ux * vy - uy * vx
    low = np.minimum(np.minimum(uy, vy), 0) + ay
    high = np.maximum(np.maximum(uy, vy), 0) + ay
    first_row = np.maximum(np.ceil(low), 0).astype(np.int32)
    last_row = np.minimum(np.ceil(high) - 1, width - 1).astype(np.int32)
    keep = np.flatnonzero(((area > 1e-6) | (double_sided & (area < -1e-6))) & (last_row >= first_row))
    tri = triangles[keep]
    ax, ay, ux, uy, vx, vy, area = (term[keep] for term in (ax, ay, ux, uy, vx, vy, area))
    first_row, rows = first_row[keep], (last_row - first_row + 1)[keep]

    # Any attribute is linear over a triangle: value(x, y) = value(a) + gradient · ((x, y) - a).
    corner = np.concatenate([z[:, None], values], axis=1)
    base = corner[tri[:, 0]]
    along_u, along_v = corner[tri[:, 1]] - base, corner[tri[:, 2]] - base
    inverse = (1 / area)[:, None]
    slope_x = (along_u * vy[:, None] - along_v * uy[:, None]) * inverse
    slope_y = (along_v * ux[:, None] - along_u * vx[:, None]) * inverse

    # Each edge bounds the span from the left or from the right, as its inside lies.
    side = np.sign(area)
    start_x = np.stack([ax, ax + ux, ax + vx], axis=1)
    start_y = np.stack([ay, ay + uy, ay + vy], axis=1)
    edge_x = np.stack([ux, vx - ux, -vx], axis=1)
    edge_y = np.stack([uy, vy - uy, -vy], axis=1)
    inside = -edge_y * side[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        tilt = np.where(edge_y == 0, 0, edge_x / edge_y).astype(np.float32)
    offset = start_x - tilt * start_y
    left = np.where(inside > 0, offset, -1e9).astype(np.float32)
    right = np.where(inside < 0, offset, 1e9).astype(np.float32)

    owner = np.repeat(np.arange(len(keep)), rows)
    row = np.arange(len(owner), dtype=np.int32) - np.repeat(np.cumsum(rows) - rows - first_row, rows).astype(np.int32)
    height = row.astype(np.float32)
    shear = ((row & 1) * 0.5 - 0.25).astype(
        np.float32
    )  # odd rows sample half a step aside: finer steps on upright edges
    reach = tilt[owner] * height[:, None] - shear[:, None]
    begin = np.ceil(np.maximum((left[owner] + reach).max(axis=1), 0)).astype(np.int32)
    end = np.ceil(np.minimum((right[owner] + reach).min(axis=1), width)).astype(np.int32)
    length = end - begin
    full = np.flatnonzero(length > 0)
    owner, row, begin, length, shear = owner[full], row[full], begin[full], length[full], shear[full]
    away = row.astype(np.float32) - ay[owner]
    step = slope_x[owner]
    span = base[owner] + slope_y[owner] * away[:, None] + step * (shear - ax[owner])[:, None]

    total = np.cumsum(length)
    column = np.arange(int(total[-1]) if len(total) else 0, dtype=np.int32) - np.repeat(
        total - length - begin, length
    ).astype(np.int32)
    place = np.repeat(row * width, length) + column
    depth = np.repeat(span[:, 0], length) + np.repeat(step[:, 0], length) * column.astype(np.float32)
    nearest = np.full(width * width, np.inf, np.float32)
    np.minimum.at(nearest, place, depth)
    seen = np.flatnonzero(depth == nearest[place])
    span_of = np.repeat(np.arange(len(length)), length)[seen]
    shown = span[span_of, 1:] + step[span_of, 1:] * column[seen, None].astype(np.float32)
    return Fragments(place[seen], shown)
