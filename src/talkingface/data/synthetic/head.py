"""The skin of the head: a grid over azimuth and height, sculpted by identity, with slits for the eyes and the mouth.

Every vertex has canonical coordinates ``(cx, cy)``: where it lies on the frontal view of the average face. Sculpting,
expressions, textures and landmarks are all functions of these, so they agree by construction.

Units: head units, x right, y down, z into the screen, origin between the ears.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .identity import Identity

Array = NDArray[np.float64]

EYE_X, EYE_WIDTH, EYE_Y = 0.285, 0.138, -0.045  # centre, half width and closed lid line of an eye
MOUTH_Y, MOUTH_WIDTH = 0.53, 0.205  # lip line and half width of the mouth
TIP_Y = 0.245  # tip of the nose
KEY_TOP, KEY_BOTTOM = -1.05, 1.15  # the row coordinate; below 0.9 it runs under the chin
AZIMUTH_LIMIT = np.deg2rad(118.0)  # no skin is built behind: it would never be seen
_SQUARENESS = 0.88  # exponent of the horizontal super-ellipse; 1 is an ellipse


def smoothstep(value: Array, low: float | Array, high: float | Array) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    ramp = np.clip((value - low) / (high - low), 0, 1)
    smooth: Array = ramp * ramp * (3 - 2 * ramp)
    return smooth


def bump(dx: Array, dy: Array, width: float, height: float) -> Array:
    """Gaussian hill of the given standard deviations."""
    hill: Array = np.exp(-0.5 * ((dx / width) ** 2 + (dy / height) ** 2))
    return hill


def _table() -> tuple[Array, ...]:
    """Row coordinate, actual front height, half width, front depth, back depth, rise towards the ears."""
    angle = np.deg2rad(np.linspace(0, 90, 19))
    dome_key = -0.30 - 0.75 * np.cos(angle)
    zeros = np.zeros_like(angle)
    dome = np.stack(
        [
            dome_key,
            dome_key,
            0.675 * np.sin(angle) ** 0.85,
            0.77 * np.sin(angle) ** 0.75,
            0.84 * np.sin(angle) ** 0.85,
            zeros,
        ],
        1,
    )
    face = np.array(
        [
            [-0.15, -0.15, 0.680, 0.775, 0.85, 0.00],
            [0.00, 0.00, 0.680, 0.770, 0.82, 0.00],
            [0.15, 0.15, 0.668, 0.770, 0.76, 0.02],
            [0.30, 0.30, 0.640, 0.775, 0.68, 0.06],
            [0.45, 0.45, 0.598, 0.790, 0.58, 0.13],
            [0.60, 0.60, 0.540, 0.790, 0.50, 0.21],
            [0.72, 0.72, 0.478, 0.775, 0.45, 0.28],
            [0.82, 0.82, 0.410, 0.755, 0.42, 0.34],
            [0.89, 0.885, 0.345, 0.700, 0.40, 0.38],
            [0.95, 0.920, 0.290, 0.600, 0.38, 0.41],
            [1.02, 0.925, 0.250, 0.450, 0.30, 0.43],
            [1.09, 0.90, 0.20, 0.25, 0.20, 0.44],
            [1.15, 0.86, 0.12, 0.08, 0.10, 0.45],
        ]
    )
    knots = np.concatenate([dome, face])
    key = np.linspace(KEY_TOP, KEY_BOTTOM, 881)
    kernel = np.exp(-0.5 * (np.arange(-24, 25) / 8) ** 2)
    kernel /= kernel.sum()
    columns = []
    for column in knots.T[1:]:
        line = np.interp(key, knots[:, 0], column)
        padded = np.concatenate([2 * line[0] - line[24:0:-1], line, 2 * line[-1] - line[-2:-26:-1]])
        soft = np.convolve(padded, kernel, mode="valid")
        blend = smoothstep(key, KEY_TOP + 0.02, KEY_TOP + 0.2)  # the pole stays exactly a point
        columns.append(blend * soft + (1 - blend) * line)
    return (key, *columns)


_KEY, _FRONT_Y, _HALF_WIDTH, _FRONT, _BACK, _RISE = _table()


def skull(azimuth: Array, key: Array, identity: Identity | None = None) -> Array:
    """Smooth base surface of the head without features.

    Args:
        azimuth: radians, 0 is the face, positive to the right of the picture.
        key: row coordinate, broadcastable with ``azimuth``.
        identity: changes widths and chin; ``None`` is the average.

    Returns:
        Positions ``(..., 3)``.
    """
    azimuth, key = np.broadcast_arrays(azimuth, key)
    height, width, front, back, rise = (
        np.interp(key, _KEY, line) for line in (_FRONT_Y, _HALF_WIDTH, _FRONT, _BACK, _RISE)
    )
    if identity is not None:
        low = smoothstep(key, 0.1, 0.75)
        width = width * (
            1 + (identity.face_width - 1) * (1 - low) + (identity.jaw_width * identity.face_width - 1) * low
        )
        height = height + identity.chin_length * smoothstep(key, 0.5, 0.95)
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    x = width * np.sign(sine) * np.abs(sine) ** _SQUARENESS
    depth = np.where(cosine > 0, front, back) * np.sign(cosine) * np.abs(cosine) ** _SQUARENESS
    turn = np.minimum(np.abs(azimuth), np.deg2rad(100))
    y = height - rise * (1 - np.cos(turn)) / (1 - np.cos(np.deg2rad(100)))
    return np.stack([x, y, -depth], axis=-1)


def azimuth_at(x: Array, key: Array) -> Array:
    """Azimuth of the canonical point with frontal coordinate ``x`` in row ``key``."""
    ratio = np.clip(np.abs(x) / np.interp(key, _KEY, _HALF_WIDTH), 0, 1)
    angle: Array = np.sign(x) * np.arcsin(ratio ** (1 / _SQUARENESS))
    return angle


@dataclass(frozen=True)
class Grid:
    """Topology and canonical coordinates of the skin; the same for every identity.

    ``slit`` names the edge that a vertex lies on: 0 none, 1 eyes, 2 mouth. ``lower`` is 1 for the copies that follow
    the lower lid or lip.
    """

    azimuth: Array
    key: Array
    cx: Array
    cy: Array
    lower: Array
    slit: NDArray[np.int64]
    triangles: NDArray[np.int64]
    columns: Array
    rows: Array
    upper_index: NDArray[np.int64]  # (rows, columns) vertex above the row
    lower_index: NDArray[np.int64]  # (rows, columns) vertex below it; differs on the slits


def _fill(points: list[float], spacing: float) -> Array:
    """Add evenly spread points so that no gap is wider than ``spacing``."""
    fixed = sorted(points)
    pieces = [np.linspace(a, b, int(np.ceil((b - a) / spacing)) + 1)[:-1] for a, b in pairwise(fixed)]
    return np.concatenate([*pieces, [fixed[-1]]])


def build_grid() -> Grid:
    """Lay the grid so that lid and lip corners are exactly vertices."""
    eye_row, mouth_row = np.array(EYE_Y), np.array(MOUTH_Y)
    inner, outer = (float(azimuth_at(np.array(EYE_X + side * EYE_WIDTH), eye_row)) for side in (-1, 1))
    corner = float(azimuth_at(np.array(MOUTH_WIDTH), mouth_row))
    near = float(azimuth_at(np.array(0.56), eye_row))
    front = _fill([0.0, inner, corner, outer, near], 0.036)
    half = np.concatenate(
        [[0.0, 0.25 * front[1], 0.6 * front[1]], front[1:-1], _fill([near, float(AZIMUTH_LIMIT)], 0.12)]
    )
    columns = np.concatenate([-half[:0:-1], half])
    rows = np.concatenate(
        [
            KEY_TOP + (KEY_TOP + 0.55 - KEY_TOP) * np.linspace(0, 1, 10)[:-1] ** 1.6,
            _fill([-0.5, -0.34], 0.055)[:-1],
            _fill([-0.34, EYE_Y, 0.03], 0.02)[:-1],
            _fill([0.03, 0.2], 0.034)[:-1],
            _fill([0.2, 0.36], 0.02)[:-1],
            _fill([0.36, MOUTH_Y, 0.68], 0.02)[:-1],
            _fill([0.68, KEY_BOTTOM], 0.045),
        ]
    )
    tall, wide = len(rows), len(columns)
    azimuth, key = (side.ravel() for side in np.meshgrid(columns, rows))
    cx = np.interp(key, _KEY, _HALF_WIDTH) * np.sign(azimuth) * np.abs(np.sin(azimuth)) ** _SQUARENESS
    cx = np.where(np.abs(azimuth) > np.pi / 2, np.sign(azimuth) * np.interp(key, _KEY, _HALF_WIDTH), cx)
    upper = np.arange(tall * wide).reshape(tall, wide)
    lower_index = upper.copy()
    eye, mouth = int(np.argmin(np.abs(rows - EYE_Y))), int(np.argmin(np.abs(rows - MOUTH_Y)))
    size = np.abs(columns)
    in_eye = np.flatnonzero((size > inner + 1e-6) & (size < outer - 1e-6))
    in_mouth = np.flatnonzero(size < corner - 1e-6)
    copies: list[int] = []
    slit = np.zeros(tall * wide, np.int64)
    for row, members, name in ((eye, in_eye, 1), (mouth, in_mouth, 2)):
        sources = upper[row, members]
        lower_index[row, members] = tall * wide + len(copies) + np.arange(len(members))
        copies += sources.tolist()
        slit[sources] = name
    chosen = np.concatenate([np.arange(tall * wide), np.array(copies)])
    lower = np.zeros(len(chosen))
    lower[tall * wide :] = 1
    a, b = lower_index[:-1, :-1].ravel(), lower_index[:-1, 1:].ravel()
    c, d = upper[1:, :-1].ravel(), upper[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return Grid(
        azimuth[chosen],
        key[chosen],
        cx[chosen],
        key[chosen],
        lower,
        slit[chosen],
        triangles,
        columns,
        rows,
        upper,
        lower_index,
    )


GRID = build_grid()


def lip_heights(q: Array, identity: Identity) -> tuple[Array, Array]:
    """Heights of the upper and lower lip above and below the lip line, at ``q`` in [-1, 1] across the mouth."""
    arch = np.clip(1 - q * q, 0, 1)
    bow = 1 - 0.20 * np.exp(-((q / 0.11) ** 2)) + 0.06 * np.exp(-(((np.abs(q) - 0.28) / 0.15) ** 2))
    return 0.066 * identity.lip_fullness * arch**0.75 * bow, 0.090 * identity.lip_fullness * arch**0.62


def sculpt(identity: Identity) -> Array:
    """Neutral face of an identity with closed lids and lips, ``(V, 3)``."""
    cx, cy = GRID.cx, GRID.cy
    position = skull(GRID.azimuth, GRID.key, identity)
    front = smoothstep(np.cos(GRID.azimuth), 0.1, 0.5)
    out = np.zeros_like(cx)  # towards the viewer
    ax = np.abs(cx)

    # forehead, brow ridge, sockets, cheeks
    out += 0.035 * bump(ax - 0.24, cy + 0.25, 0.16, 0.06) * (1.25 - 0.5 * identity.brow_arch)
    out -= 0.085 * bump(ax - 0.255, cy + 0.10, 0.13, 0.085)
    out -= 0.05 * bump(ax - 0.13, cy + 0.08, 0.06, 0.09)
    out += (0.02 + 0.05 * identity.cheek) * bump(ax - 0.40, cy - 0.15, 0.15, 0.12)
    out -= 0.03 * identity.cheek * bump(ax - 0.42, cy - 0.47, 0.12, 0.16)
    # muzzle, chin, fold under the lip, folds from nose to mouth
    out += 0.055 * bump(cx, cy - 0.50, 0.20, 0.15)
    out += 0.065 * bump(cx, cy - 0.82, 0.14, 0.09)
    out -= 0.04 * bump(cx, cy - 0.67, 0.16, 0.035)
    fold = 0.165 + 0.28 * (cy - 0.30)
    out -= 0.018 * np.exp(-0.5 * ((ax - fold) / 0.025) ** 2) * bump(np.zeros_like(cy), cy - 0.40, 1, 0.09)
    # nose: bridge, tip, wings
    tall = identity.nose_height
    along = np.interp(
        cy,
        [-0.36, -0.26, -0.12, -0.05, 0.10, 0.20, TIP_Y, 0.285, 0.325, 0.36],
        [0.0, 0.02, 0.055, 0.075, 0.175, 0.25, 0.265, 0.22, 0.06, 0.0],
    )
    wide = np.interp(cy, [-0.2, 0.0, 0.15, TIP_Y, 0.36], [0.055, 0.052, 0.066, 0.088, 0.10]) * (
        0.5 + 0.5 * identity.nose_width
    )
    out += tall * along * np.exp(-0.5 * (cx / wide) ** 2)
    wing = 0.108 * identity.nose_width
    out += 0.105 * bump(ax - wing, cy - 0.262, 0.034, 0.045)
    out -= 0.03 * bump(ax - 0.05 * identity.nose_width, cy - 0.325, 0.025, 0.02)
    # lips and philtrum
    q = cx / MOUTH_WIDTH
    up, down = lip_heights(q, identity)
    d = cy - MOUTH_Y
    above = (cy < MOUTH_Y) | ((GRID.slit == 2) & (GRID.lower == 0))
    body = np.where(above, -d / np.maximum(up, 0.012), d / np.maximum(down, 0.012))
    roll = np.exp(-0.5 * ((body - 0.55) / 0.45) ** 2)
    out += 0.042 * identity.lip_fullness * roll * np.clip(1 - q * q, 0, 1) ** 0.5
    out -= 0.02 * np.exp(-0.5 * (d / 0.012) ** 2) * np.clip(1.15 - q * q, 0, 1)
    out -= 0.012 * bump(cx, cy - 0.40, 0.022, 0.04)
    out -= 0.02 * bump(ax - 0.225, cy - MOUTH_Y, 0.035, 0.035)
    position[:, 2] -= out * front

    # shifts of features in the plane of the face
    eye = bump(ax - EYE_X, cy - EYE_Y, 0.16, 0.12)
    size = identity.eye_size - 1
    position[:, 0] += front * np.sign(cx) * (identity.eye_spacing + size * (ax - EYE_X)) * eye
    position[:, 1] += front * (size * (cy - EYE_Y) - identity.eye_tilt * (ax - EYE_X) / EYE_WIDTH) * eye
    brow = bump(ax - 0.27, cy + 0.25, 0.2, 0.06)
    position[:, 1] -= (
        front
        * (identity.brow_height + 0.035 * (identity.brow_arch - 0.5) * bump(ax - 0.34, cy + 0.25, 0.08, 0.1))
        * brow
    )
    nose = bump(cx, cy - 0.26, 0.13, 0.08)
    position[:, 0] += front * cx * (identity.nose_width - 1) * nose
    position[:, 1] += front * identity.nose_length * bump(cx, cy - 0.28, 0.13, 0.07)
    mouth = bump(cx, cy - MOUTH_Y, 0.26, 0.12)
    position[:, 0] += front * cx * (identity.mouth_width - 1) * mouth
    position[:, 1] += (
        front * 0.012 * np.exp(-((q / 0.35) ** 2)) * np.exp(-0.5 * (d / 0.03) ** 2)
    )  # the lip line dips in the middle
    return position
