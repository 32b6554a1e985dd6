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
        triangles: vertex indices ``(3, F)``, clockwise on the screen (y down) where the front is seen.
        width: rows and columns of the square sample grid.
        double_sided: ``(F,)`` whether the back is drawn too.

    Returns:
        The visible samples, each once.
    """
    x, y = np.ascontiguousarray(position[:, 0]), np.ascontiguousarray(position[:, 1])
    a, b, c = triangles
    ax, ay = x[a], y[a]
    ux, uy = x[b] - ax, y[b] - ay
    vx, vy = x[c] - ax, y[c] - ay
    area = ux * vy - uy * vx
    first_row = np.maximum(np.ceil(np.minimum(np.minimum(uy, vy), 0) + ay), 0).astype(np.int32)
    last_row = np.minimum(np.ceil(np.maximum(np.maximum(uy, vy), 0) + ay), width).astype(np.int32) - 1
    keep = np.flatnonzero(((area > 1e-6) | (double_sided & (area < -1e-6))) & (last_row >= first_row))
    ax, ay, ux, uy, vx, vy, area = (term[keep] for term in (ax, ay, ux, uy, vx, vy, area))
    first_row, rows = first_row[keep], (last_row - first_row + 1)[keep]

    # Any attribute is linear over a triangle: value(x, y) = value(a) + slope · ((x, y) - a).
    corner = np.concatenate([position[:, 2:], values], axis=1)
    base = corner[a[keep]]
    along_u, along_v = corner[b[keep]] - base, corner[c[keep]] - base
    inverse = 1 / area
    slope_x = along_u * (vy * inverse)[:, None] - along_v * (uy * inverse)[:, None]
    slope_y = along_v * (ux * inverse)[:, None] - along_u * (vx * inverse)[:, None]
    base -= slope_x * ax[:, None] + slope_y * ay[:, None]  # now the value at the origin of the samples

    # A span begins at the last of the edges that have the inside on their right, and ends at the first of the others.
    owner = np.repeat(np.arange(len(keep)), rows)
    row = np.arange(len(owner), dtype=np.int32) - np.repeat((np.cumsum(rows) - rows - first_row).astype(np.int32), rows)
    height = row.astype(np.float32)
    shear = (row & 1).astype(np.float32) * np.float32(0.5) - np.float32(
        0.25
    )  # odd rows are half a step aside: finer upright edges
    begin, end = np.zeros(len(owner), np.float32), np.full(len(owner), width, np.float32)
    for from_x, from_y, edge_x, edge_y in (
        (ax, ay, ux, uy),
        (ax + ux, ay + uy, vx - ux, vy - uy),
        (ax + vx, ay + vy, -vx, -vy),
    ):
        inside = edge_y * np.sign(area)  # negative: the inside is to the right
        tilt = edge_x / np.where(edge_y == 0, np.float32(1), edge_y)
        cross = np.repeat(from_x - tilt * from_y, rows) + np.repeat(tilt, rows) * height - shear
        facing = np.repeat(inside, rows)
        begin = np.where(facing < 0, np.maximum(begin, cross), begin)
        end = np.where(facing > 0, np.minimum(end, cross), end)
    begin_at, end_at = np.ceil(begin).astype(np.int32), np.ceil(end).astype(np.int32)
    full = np.flatnonzero(end_at > begin_at)
    owner, row, shear, begin_at = owner[full], row[full], shear[full], begin_at[full]
    length = end_at[full] - begin_at
    step = slope_x[owner]
    span = base[owner] + slope_y[owner] * row.astype(np.float32)[:, None] + step * shear[:, None]

    total = np.cumsum(length)
    count = int(total[-1]) if len(total) else 0
    column = np.arange(count, dtype=np.int32) - np.repeat((total - length - begin_at).astype(np.int32), length)
    place = np.repeat(row.astype(np.intp) * width, length) + column  # ``minimum.at`` is fast for intp only
    depth = np.repeat(span[:, 0], length) + np.repeat(step[:, 0], length) * column.astype(np.float32)
    nearest = np.full(width * width, np.inf, np.float32)
    np.minimum.at(nearest, place, depth)
    seen = np.flatnonzero(depth == nearest[place])
    span_of = np.repeat(np.arange(len(length), dtype=np.int32), length)[seen]
    shown = span[:, 1:].take(span_of, axis=0) + step[:, 1:].take(span_of, axis=0) * column[seen, None].astype(
        np.float32
    )
    return Fragments(place[seen], shown)
