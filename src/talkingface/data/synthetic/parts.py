"""Everything of a head that is not its skin: eyeballs, lips inside, teeth, tongue, ears, neck and shoulders."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .deform import EYE_RADIUS, eye_centre
from .head import EYE_Y, GRID, KEY_BOTTOM, KEY_TOP, AZIMUTH_LIMIT, MOUTH_WIDTH, MOUTH_Y, bump, smoothstep
from .identity import Identity

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NECK_PIVOT = np.array([0.0, 0.42, 0.16])  # the head turns about the top of the spine
BODY_BOTTOM = 3.2


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
    gaze: int = 0  # eyeball: -1 left, 1 right of the picture
    double_sided: bool = False


def grid_triangles(rows: int, columns: int, start: int = 0) -> Indices:
    """Two triangles a cell of a row-major vertex grid, facing the viewer if columns run to the right."""
    index = start + np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def _lattice(rows: Array, columns: Array) -> tuple[Array, Array]:
    across, down = np.meshgrid(columns, rows)
    return across.ravel(), down.ravel()


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


def eyeball(neutral: Array, side: int) -> Part:
    """Front cap of an eyeball with a bulging cornea; its texture turns with the gaze."""
    centre = eye_centre(neutral, side)
    polar, turn = np.linspace(0, np.deg2rad(72), 12), np.linspace(0, 2 * np.pi, 25)
    angle, radius = _lattice(polar, turn)
    x, y = np.sin(radius) * np.cos(angle), np.sin(radius) * np.sin(angle)
    position = centre + EYE_RADIUS * np.stack([x, y, -np.cos(radius)], 1)
    uv = 0.5 + 0.5 * np.stack([x, y], 1) / 1.6  # 1.6 leaves room for the gaze to shift the texture
    lid = smoothstep(y, -0.75, 0.05) * 0.45 + 0.55  # the upper lid and lashes throw a shadow
    corner = 1 - 0.45 * np.clip(np.abs(x) / 0.85, 0, 1) ** 3
    return Part(
        position,
        grid_triangles(12, 25)[:, ::-1],
        "eye",
        uv,
        lid * corner,
        0.9,
        gloss=160.0,
        gaze=side,
        double_sided=True,
    )


def _slit(neutral: Array, name: int, lower: int) -> Indices:
    """Vertices of a slit's edge from left to right, with both corners for the mouth."""
    members = np.flatnonzero((GRID.slit == name) & (GRID.lower == lower))
    order: Indices = members[np.argsort(GRID.cx[members])]
    return order


def mouth(neutral: Array, identity: Identity) -> list[Part]:
    """Inner side of the lips, both rows of teeth, tongue and the dark behind."""
    upper, lower = _slit(neutral, 2, 0), _slit(neutral, 2, 1)
    edge = neutral[upper]
    parts = []
    for members, up in ((upper, -1.0), (lower, 1.0)):
        rows = [
            neutral[members] + np.array([0.0, up * rise, back]) for rise, back in ((0, 0), (0.008, 0.02), (0.03, 0.055))
        ]
        count = len(members)
        uv = np.stack([np.full(3 * count, 0.5), np.repeat([0.05, 0.45, 0.95], count)], 1)
        dark = np.repeat([0.9, 0.65, 0.35], count)
        parts.append(
            Part(
                np.concatenate(rows),
                grid_triangles(3, count),
                "gum",
                uv,
                dark,
                0.25,
                30.0,
                tied=np.tile(members, 3),
                double_sided=True,
            )
        )
    half = 0.84 * MOUTH_WIDTH * identity.mouth_width
    lip_x, lip_z, line = edge[:, 0], edge[:, 2], float(edge[:, 1].mean())
    for top, bottom, back, jaw, tile in ((-0.075, 0.026, 0.050, 0.0, "teeth"), (0.010, 0.075, 0.066, 1.0, "teeth_low")):
        x, y = _lattice(np.linspace(top, bottom, 4), np.linspace(-half, half, 17))
        arch = np.interp(x, lip_x, lip_z) + back + 0.8 * x**2
        uv = np.stack([x / half * 0.48 + 0.5, (y - top) / (bottom - top)], 1)
        shade = (1 - 0.75 * (np.abs(x) / half) ** 2) * 0.82
        parts.append(
            Part(np.stack([x, line + y, arch], 1), grid_triangles(4, 17), tile, uv, shade, 0.35, 40.0, jaw=jaw)
        )
    x, y = _lattice(np.linspace(-0.05, 0.05, 6), np.linspace(-0.14, 0.14, 9))
    body = np.sqrt(np.clip(1 - (x / 0.15) ** 2 - (y / 0.055) ** 2, 0, 1))
    depth = lip_z.min() + 0.20 - 0.09 * body
    tongue = np.stack([x, line + 0.085 + y, depth], 1)
    parts.append(Part(tongue, grid_triangles(6, 9), "gum", np.full((54, 2), [0.5, 0.25]), 0.55, 0.3, 25.0, jaw=0.85))
    x, y = _lattice(np.linspace(-0.13, 0.16, 7), np.linspace(-0.26, 0.26, 9))
    cave = np.stack([x, line + y, np.interp(x, lip_x, lip_z) + 0.21 - 1.2 * x**2 * 0], 1)
    parts.append(
        Part(cave, grid_triangles(7, 9), "gum", np.full((63, 2), [0.5, 0.9]), 0.13, jaw=smoothstep(y, -0.03, 0.05))
    )
    return parts


def ear(identity: Identity, neutral: Array, side: int) -> Part:
    """A shell with a raised rim, standing off the head by 25 degrees."""
    radius, angle = np.linspace(0, 1, 8), np.linspace(0, 2 * np.pi, 25)
    turn, r = _lattice(radius, angle)
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
        [np.linspace(0.30, 1.0, 8)[:-1], np.linspace(1.0, 1.55, 17)[:-1], np.linspace(1.55, BODY_BOTTOM, 7)]
    )
    columns = np.deg2rad(
        np.concatenate([np.linspace(-118, -60, 7)[:-1], np.linspace(-60, 60, 25)[:-1], np.linspace(60, 118, 7)])
    )
    angle, y = _lattice(rows, columns)
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
    shade = (
        1
        - 0.62 * np.exp(-0.5 * (np.maximum(y - 0.78, 0) / 0.17) ** 2) * smoothstep(np.cos(angle), -0.4, 0.6)
        - 0.15 * (y < 1.1)
    )
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
