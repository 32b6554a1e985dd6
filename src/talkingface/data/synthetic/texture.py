"""Paint of a head: one atlas with skin, eyes, teeth, hair and clothes in linear RGB, drawn from the identity."""

import numpy as np
from numpy.typing import NDArray

from .hair import roots
from .head import (
    AZIMUTH_LIMIT,
    EYE_WIDTH,
    EYE_X,
    EYE_Y,
    KEY_BOTTOM,
    KEY_TOP,
    MOUTH_WIDTH,
    MOUTH_Y,
    bump,
    lip_heights,
    skull,
    smoothstep,
)
from .identity import Colour, Identity
from .parts import neckline

Array = NDArray[np.float64]

ATLAS = (512, 1280)  # rows, columns
TILES: dict[str, tuple[int, int, int, int]] = {  # left, top, width, height
    "skin": (0, 0, 512, 512),
    "hair": (512, 0, 256, 256),
    "body": (768, 0, 512, 384),
    "eye": (512, 256, 256, 256),
    "teeth": (768, 384, 128, 64),
    "teeth_low": (896, 384, 128, 64),
    "gum": (768, 448, 64, 64),
    "flat": (832, 448, 64, 64),
    "white": (896, 448, 64, 64),
    "lid": (960, 448, 64, 64),
    "frame": (1024, 448, 64, 64),
}


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Array:
    """Smooth noise of about unit variance: random values on a coarse lattice, interpolated."""
    coarse = rng.normal(size=(cells[0] + 2, cells[1] + 2))
    y, x = np.linspace(0, cells[0], shape[0]), np.linspace(0, cells[1], shape[1])
    row, column = y.astype(int), x.astype(int)
    fy, fx = smoothstep(y - row, 0, 1)[:, None], smoothstep(x - column, 0, 1)[None]
    top = coarse[row][:, column] * (1 - fx) + coarse[row][:, column + 1] * fx
    low = coarse[row + 1][:, column] * (1 - fx) + coarse[row + 1][:, column + 1] * fx
    noise: Array = 1.4 * (top * (1 - fy) + low * fy)
    return noise


def _mix(base: Array, colour: Colour | Array, amount: Array) -> Array:
    mixed: Array = base + (np.asarray(colour) - base) * np.clip(amount, 0, 1)[..., None]
    return mixed


def paint(identity: Identity) -> NDArray[np.float32]:
    """Texture atlas of an identity, ``(512, 1280, 3)`` in linear RGB."""
    rng = np.random.default_rng([identity.rng_seed, 1])
    atlas = np.zeros((*ATLAS, 3))
    flat_skin = np.asarray(identity.skin)
    pieces = {
        "skin": _skin(identity, rng),
        "hair": _hair(identity, rng),
        "body": _body(identity, rng),
        "eye": _eye(identity, rng),
        "teeth": _teeth(0.0),
        "teeth_low": _teeth(1.0),
        "gum": _gum(identity),
        "lid": np.broadcast_to(flat_skin * np.array([0.85, 0.55, 0.52]), (64, 64, 3)),
        "frame": np.broadcast_to(np.asarray(identity.frame), (64, 64, 3)),
        "white": np.full((64, 64, 3), 1.6),
        "flat": np.broadcast_to(flat_skin * np.array([1.0, 0.95, 0.94]), (64, 64, 3)),
    }
    for name, (left, top, width, height) in TILES.items():
        atlas[top : top + height, left : left + width] = pieces[name]
    return atlas.astype(np.float32)


def brow_line(q: Array, identity: Identity) -> tuple[Array, Array]:
    """Centre height and half thickness of an eyebrow; ``q`` runs from 0 at the inner to 1 at the outer end."""
    centre = -0.238 - 0.045 * np.sin(np.pi * np.clip(q, 0, 1) ** 1.2 * 0.82)
    half = 0.026 * identity.brow_thickness * (0.75 + 0.6 * np.clip(q, 0, 1)) * np.clip(1.25 - q, 0, 1) ** 0.6
    return centre, half


BROW_INNER, BROW_OUTER = 0.105, 0.435


def _skin(identity: Identity, rng: np.random.Generator) -> Array:
    _, _, width, height = TILES["skin"]
    azimuth, key = np.meshgrid(np.linspace(-1, 1, width) * AZIMUTH_LIMIT, np.linspace(KEY_TOP, KEY_BOTTOM, height))
    cx = skull(azimuth, key)[..., 0]
    cy, ax = key, np.abs(cx)
    front = np.cos(azimuth) > 0.1
    skin = np.asarray(identity.skin)
    colour = np.broadcast_to(skin, (height, width, 3)).copy()
    mottle = 0.025 * value_noise(rng, (height, width), (40, 40)) + 0.03 * value_noise(rng, (height, width), (9, 9))
    colour *= (1 + mottle)[..., None]
    red, pale = np.array([1.04, 0.80, 0.78]), np.array([0.90, 0.86, 0.90])
    colour = _mix(
        colour, skin * red, 0.7 * bump(ax - 0.38, cy - 0.20, 0.12, 0.10) + 0.6 * bump(cx, cy - 0.25, 0.09, 0.08)
    )
    colour = _mix(colour, skin * red, 0.35 * bump(cx, cy - 0.84, 0.12, 0.06))
    colour = _mix(colour, skin * pale * 0.8, 0.7 * bump(ax - EYE_X + 0.03, cy - EYE_Y - 0.05, 0.11, 0.03))
    lid = np.exp(-0.5 * ((cy - EYE_Y + 0.05) / 0.06) ** 2) * bump(ax - EYE_X, 0 * cy, 0.13, 1)
    colour = _mix(colour, skin * np.array([0.72, 0.58, 0.58]), 0.55 * lid)
    if identity.freckles > 0:
        spots = smoothstep(value_noise(rng, (height, width), (110, 150)), 1.5, 2.2)
        colour = _mix(
            colour,
            skin * np.array([0.6, 0.45, 0.36]),
            0.8 * identity.freckles * spots * bump(ax - 0.22, cy - 0.14, 0.22, 0.12),
        )
    hair = np.asarray(identity.hair)
    if identity.beard > 0:
        line = np.interp(
            np.abs(np.rad2deg(azimuth)), [0, 12, 25, 45, 75, 95, 118], [0.66, 0.50, 0.58, 0.50, 0.25, 0.0, 0.1]
        )
        moustache = bump(cx, cy - 0.425, 0.13, 0.028) * (1 - bump(cx, cy - 0.40, 0.02, 0.03))
        area = smoothstep(cy, line - 0.04, line + 0.10) + 1.2 * moustache
        strands = 0.75 + 0.25 * value_noise(rng, (height, width), (170, 250))
        colour = _mix(colour, hair * 0.75, np.clip(area, 0, 1) * strands * (0.22 + 0.65 * identity.beard))
    # lips
    q = np.clip(cx / MOUTH_WIDTH, -1.2, 1.2)
    up, down = lip_heights(q, identity)
    d = cy - MOUTH_Y
    inside = (
        np.minimum(smoothstep(d + up, -0.007, 0.007), smoothstep(down - d, -0.010, 0.010)) * (np.abs(q) < 1) * front
    )
    creases = 1 + 0.06 * value_noise(rng, (height, width), (12, 240))
    lips = np.asarray(identity.lips) * creases[..., None] * np.where(d < 0, 0.86, 1.0)[..., None]
    colour = _mix(colour, lips, 0.92 * inside)
    line = np.exp(-0.5 * (d / 0.007) ** 2) * smoothstep(1.06 - np.abs(q), 0, 0.08) * front
    colour = _mix(colour, np.asarray(identity.lips) * 0.22, 0.75 * line)
    # nostrils
    colour = _mix(colour, skin * 0.10, 0.95 * smoothstep(bump(ax - 0.052, cy - 0.326, 0.026, 0.013), 0.35, 0.8) * front)
    # lashes and the line of the lids
    eq = (ax - EYE_X) / EYE_WIDTH
    span = smoothstep(1.12 - np.abs(eq), 0, 0.12) * front
    e = cy - EYE_Y
    upper = smoothstep(-e, -0.004, 0.0) * smoothstep(e, -0.020, -0.010)
    colour = _mix(colour, np.array([0.012, 0.008, 0.007]), 0.93 * upper * span)
    lower = smoothstep(e, -0.001, 0.001) * smoothstep(-e, -0.014, -0.006)
    colour = _mix(colour, skin * np.array([0.40, 0.26, 0.25]), 0.7 * lower * span)
    # brows, hair by hair
    bq = (ax - BROW_INNER) / (BROW_OUTER - BROW_INNER)
    centre, half = brow_line(bq, identity)
    body = (
        smoothstep(half - np.abs(cy - centre), -0.012, 0.010)
        * smoothstep(bq, -0.03, 0.10)
        * smoothstep(1 - bq, -0.02, 0.1)
    )
    strands = 0.90 + 0.07 * value_noise(rng, (height, width), (60, 256))
    colour = _mix(colour, identity.brow, 0.92 * body * strands * front)
    # scalp below the hair, so that no skin shines through its edge
    edge = roots(identity.hair_style, azimuth)
    scalp = smoothstep(edge - cy, -0.015, 0.045 if identity.hair_style != "buzz" else 0.1)
    stubble = 0.85 + 0.15 * value_noise(rng, (height, width), (200, 200))
    return _mix(colour, hair * 0.7, scalp * stubble)


def _eye(identity: Identity, rng: np.random.Generator) -> Array:
    _, _, width, height = TILES["eye"]
    x, y = np.meshgrid(np.linspace(-1, 1, width) * 1.6, np.linspace(-1, 1, height) * 1.6)  # in radii of the eyeball
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    white = np.broadcast_to(np.array([0.70, 0.66, 0.63]), (height, width, 3)).copy()
    white = _mix(white, np.array([0.60, 0.36, 0.33]), smoothstep(r, 0.55, 1.2) * 0.7)
    iris_radius = 0.405
    fibres = (
        1
        + 0.16 * np.sin(angle * 37 + 3 * np.sin(angle * 5))
        + 0.10 * np.sin(angle * 61)
        + 0.05 * rng.normal(size=r.shape)
    )
    ring = 0.65 + 0.7 * smoothstep(r, 0.16, 0.30) - 0.95 * smoothstep(r, 0.31, 0.42)
    below = 1 + 0.35 * np.clip(y / iris_radius, -1, 1)  # light falls through the cornea on the lower half
    iris = np.asarray(identity.iris) * (fibres * ring * below).clip(0.12, 2.2)[..., None]
    white = _mix(white, iris, 1 - smoothstep(r, iris_radius - 0.03, iris_radius + 0.02))
    return _mix(white, np.array([0.004, 0.004, 0.005]), 1 - smoothstep(r, 0.165, 0.205))


def _teeth(lower: float) -> Array:
    _, _, width, height = TILES["teeth"]
    u, v = np.meshgrid(np.linspace(-1, 1, width), np.linspace(0, 1, height))
    sign = np.abs(u)
    edges = (
        np.array([0.0, 0.21, 0.38, 0.55, 0.70, 0.83, 0.94])
        if lower == 0
        else np.array([0.0, 0.14, 0.29, 0.46, 0.62, 0.77, 0.9])
    )
    gap = np.min(np.abs(sign[..., None] - edges), axis=-1)
    ivory = np.array([0.80, 0.76, 0.66]) * (0.92 + 0.08 * smoothstep(gap, 0.02, 0.08))[..., None]
    colour = _mix(ivory, np.array([0.20, 0.13, 0.10]), 0.65 * (1 - smoothstep(gap, 0.004, 0.022)))
    root = 1 - v if lower else v
    gums = 1 - smoothstep(root - 0.08 * np.cos(np.pi * gap / 0.09) ** 2, 0.16, 0.24)
    return _mix(colour, np.array([0.45, 0.14, 0.13]), gums)


def _gum(identity: Identity) -> Array:
    v = np.linspace(0, 1, 64)[:, None]
    lips, inner = np.asarray(identity.lips) * 0.8, np.array([0.34, 0.075, 0.07])
    ramp = lips * (1 - smoothstep(v, 0.1, 0.4)) + inner * smoothstep(v, 0.1, 0.4)
    return np.broadcast_to(ramp[:, None], (64, 64, 3))


def _hair(identity: Identity, rng: np.random.Generator) -> Array:
    _, _, width, height = TILES["hair"]
    fine, broad = (1, 200), (3, 46)
    if identity.hair_style == "curly":
        fine, broad = (70, 90), (22, 34)
    if identity.hair_style == "buzz":
        fine, broad = (120, 120), (8, 8)
    streaks = 1 + 0.22 * value_noise(rng, (height, width), fine) + 0.20 * value_noise(rng, (height, width), broad)
    root = 0.75 + 0.35 * np.linspace(0, 1, height)[:, None] ** 0.7
    colour: Array = np.asarray(identity.hair) * (streaks * root).clip(0.25, 2.0)[..., None]
    return colour


def _body(identity: Identity, rng: np.random.Generator) -> Array:
    _, _, width, height = TILES["body"]
    degrees, y = np.meshgrid(np.linspace(-118, 118, width), np.linspace(0.30, 2.2, height))
    skin = (
        np.asarray(identity.skin)
        * np.array([1.0, 0.97, 0.96])
        * (1 + 0.02 * value_noise(rng, (height, width), (12, 12)))[..., None]
    )
    cloth = np.broadcast_to(np.asarray(identity.cloth), (height, width, 3)).copy()
    cloth *= (
        1 + 0.05 * value_noise(rng, (height, width), (60, 60)) + 0.08 * value_noise(rng, (height, width), (5, 9))
    )[..., None]
    accent = np.asarray(identity.accent)
    if identity.pattern == 1:
        cloth = _mix(cloth, accent, smoothstep(np.sin(y * 34), 0.55, 0.75))
    elif identity.pattern == 2:
        cloth *= (1 + 0.10 * np.sin(degrees * 1.1))[..., None]
    cover = neckline(identity, np.deg2rad(degrees), y)
    for offset in (0.0, 0.07):  # seam and collar
        rim = neckline(identity, np.deg2rad(degrees), y - offset)
        cloth = _mix(cloth, cloth * 0.55, np.exp(-0.5 * ((rim - 0.5) / 0.25) ** 2) * 0.6)
    if identity.neckline == "shirt":
        button = np.exp(-0.5 * (degrees / 1.5) ** 2) * smoothstep(y, 1.3, 1.36)
        cloth = _mix(cloth, cloth * 0.45, button)
    return _mix(skin, cloth, cover)
