"""The outer parts of a head: skin, ears, neck and shoulders."""

import numpy as np
from numpy.typing import NDArray

from .head import AZIMUTH_LIMIT, GRID, KEY_BOTTOM, KEY_TOP, MOUTH_WIDTH, MOUTH_Y, bump, smoothstep
from .identity import Identity
from .mesh import Part, grid_triangles, lattice

Array = NDArray[np.float64]

NECK_PIVOT = np.array([0.0, 0.42, 0.16])  # the head turns about the top of the spine
BODY_BOTTOM = 3.2


def skin(neutral: Array) -> Part:
    """The sculpted skin as a part."""
    cx, cy = GRID.cx, GRID.cy
    ax = np.abs(cx)
    shade = 1 - 0.30 * bump(ax - 0.16, cy + 0.075, 0.05, 0.07) - 0.16 * bump(ax - 0.27, cy + 0.13, 0.12, 0.035)
    shade -= 0.22 * bump(cx, cy - 0.375, 0.09, 0.035) + 0.16 * bump(cx, cy - 0.67, 0.12, 0.03)
    shade -= 0.25 * bump(ax - 0.15, cy - 0.29, 0.022, 0.035) + 0.5 * smoothstep(cy, 0.90, 1.05)
    shade -= 0.12 * bump(ax - MOUTH_WIDTH, cy - MOUTH_Y, 0.03, 0.03)
    oily = 0.10 + 0.16 * bump(cx, cy - 0.2, 0.06, 0.14) + 0.10 * bump(cx, cy + 0.45, 0.3, 0.15)
    oily += 0.08 * bump(ax - 0.36, cy - 0.1, 0.1, 0.08) + 0.35 * bump(cx, cy - MOUTH_Y - 0.045, 0.11, 0.03)
    uv = np.stack([(GRID.azimuth / AZIMUTH_LIMIT + 1) / 2, (GRID.key - KEY_TOP) / (KEY_BOTTOM - KEY_TOP)], 1)
    return Part(neutral, GRID.triangles, "skin", uv, occlusion=np.clip(shade, 0.3, 1), shine=oily, gloss=16.0)


def ear(identity: Identity, side: int) -> Part:
    """A shell with a raised rim, standing off the head by 25 degrees."""
    radius, angle = np.linspace(0, 1, 8), np.linspace(0, 2 * np.pi, 25)
    turn, r = lattice(radius, angle)
    lobe = 1 - 0.30 * smoothstep(np.sin(turn), 0.1, 1.0)  # narrower at the lobe
    along, down = 0.10 * lobe * r * np.cos(turn), 0.185 * r * np.sin(turn)
    rim = (
        0.030 * np.exp(-0.5 * ((r - 0.84) / 0.10) ** 2)
        - 0.03 * bump(along - 0.0, down - 0.01, 0.045, 0.06)
        - 0.05 * smoothstep(r, 0.9, 1.0)
    )
    flare = np.deg2rad(24)
    back = np.array([side * np.sin(flare), 0.12, np.cos(flare)])
    outward = np.array([side * np.cos(flare), 0.0, -np.sin(flare)])
    root = np.array([side * 0.655 * identity.face_width, 0.03, 0.0])
    position = (
        root + (along + 0.085)[:, None] * back + down[:, None] * np.array([0.0, 1.0, 0.02]) + rim[:, None] * outward
    )
    shade = np.clip(0.55 + 9 * rim, 0.35, 1.0)
    triangles = grid_triangles(8, 25)
    return Part(
        position,
        triangles[:, ::-1] if side > 0 else triangles,
        "flat",
        np.full((200, 2), 0.5),
        shade,
        0.08,
        14.0,
        double_sided=True,
    )


def body(identity: Identity) -> Part:
    """Neck and shoulders in one surface; clothes and neckline are painted on it."""
    #        y     half width  front  back  shift back
    knots = np.array(
        [
            [0.30, 0.34, 0.34, 0.36, 0.14],
            [0.75, 0.345, 0.33, 0.36, 0.14],
            [1.00, 0.36, 0.34, 0.38, 0.15],
            [1.12, 0.42, 0.37, 0.42, 0.16],
            [1.20, 0.56, 0.42, 0.46, 0.17],
            [1.28, 0.80, 0.48, 0.50, 0.17],
            [1.38, 1.06, 0.54, 0.54, 0.17],
            [1.52, 1.24, 0.60, 0.58, 0.17],
            [1.80, 1.34, 0.66, 0.60, 0.17],
            [2.30, 1.38, 0.70, 0.60, 0.17],
            [BODY_BOTTOM, 1.40, 0.72, 0.60, 0.17],
        ]
    )
    rows = np.concatenate(
        [np.linspace(0.30, 1.0, 8)[:-1], np.linspace(1.0, 1.55, 25)[:-1], np.linspace(1.55, BODY_BOTTOM, 7)]
    )
    columns = np.deg2rad(
        np.concatenate([np.linspace(-118, -60, 7)[:-1], np.linspace(-60, 60, 41)[:-1], np.linspace(60, 118, 7)])
    )
    angle, y = lattice(rows, columns)
    fine = np.linspace(0.3, BODY_BOTTOM, 300)
    kernel = np.hanning(15) / np.hanning(15).sum()
    smooth = [
        np.convolve(np.pad(np.interp(fine, knots[:, 0], knots[:, i]), 7, mode="edge"), kernel, "valid")
        for i in range(1, 5)
    ]
    width, front, back, shift = (np.interp(y, fine, line) for line in smooth)
    slim = 1 - smoothstep(y, 1.05, 1.35)
    width = width * (1 + (identity.neck_width - 1) * slim)
    sine, cosine = np.sin(angle), np.cos(angle)
    x = width * np.sign(sine) * np.abs(sine) ** 0.9
    z = shift - np.where(cosine > 0, front, back) * np.sign(cosine) * np.abs(cosine) ** 0.9
    z += 0.05 * smoothstep(y, 0.95, 1.1) * bump(x, y - 1.12, 0.07, 0.06)  # pit of the throat
    for cord in (-1, 1):
        line = 0.10 + 0.17 * (1.12 - y) / 0.5
        z -= (
            0.025
            * np.exp(-0.5 * ((x - cord * line) / 0.03) ** 2)
            * smoothstep(y, 0.7, 0.95)
            * (1 - smoothstep(y, 1.08, 1.16))
        )
    uv = np.stack([(np.rad2deg(angle) / 118 + 1) / 2, (y - 0.30) / 1.9], 1)
    cloth = neckline(identity, angle, y)
    z -= 0.03 * cloth
    shade = 1 - 0.62 * np.exp(-0.5 * (np.maximum(y - 0.78, 0) / 0.17) ** 2) * smoothstep(np.cos(angle), -0.4, 0.6)
    return Part(
        np.stack([x, y, z], 1),
        grid_triangles(len(rows), len(columns)),
        "body",
        np.clip(uv, 0, 1),
        np.clip(shade, 0.25, 1),
        0.05 * (1 - cloth),
        10.0,
        follow=1 - smoothstep(y, 0.55, 1.22),
    )


def neckline(identity: Identity, angle: Array, y: Array) -> Array:
    """1 where clothes cover the body, 0 on skin, soft between; the same function shapes and paints them."""
    size = np.abs(np.rad2deg(angle))
    edge = {
        "crew": np.interp(size, [0, 30, 60, 118], [1.24, 1.20, 1.12, 1.06]),
        "vee": np.interp(size, [0, 12, 40, 70, 118], [1.55, 1.42, 1.20, 1.11, 1.05]),
        "shirt": np.interp(size, [0, 8, 40, 70, 118], [1.36, 1.22, 1.06, 1.00, 0.96]),
        "roll": np.interp(size, [0, 118], [0.99, 0.93]),
    }[identity.neckline]
    return smoothstep(y, edge - 0.015, edge + 0.015)
