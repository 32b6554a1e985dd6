"""Hair as a shell over the skull: a hairline for every style, thickness, and strands that hang below the ears."""

import numpy as np
from numpy.typing import NDArray

from .head import KEY_TOP, bump, skull, smoothstep
from .identity import Identity
from .mesh import Part, grid_triangles

Array = NDArray[np.float64]

# Lower edge of the hair at azimuths 0 … 180°: the hairline over the face, the temples, around the ear, the nape.
_EDGES: dict[str, tuple[list[float], list[float]]] = {
    "short": (
        [0, 22, 38, 50, 62, 72, 80, 90, 104, 118, 180],
        [-0.66, -0.66, -0.62, -0.50, -0.40, -0.12, 0.02, -0.18, -0.10, 0.22, 0.42],
    ),
    "swept": (
        [0, 20, 38, 50, 62, 72, 80, 90, 104, 118, 180],
        [-0.64, -0.66, -0.66, -0.54, -0.40, -0.10, 0.06, -0.16, -0.05, 0.30, 0.45],
    ),
    "bob": ([0, 20, 34, 46, 56, 64, 72, 120, 180], [-0.72, -0.66, -0.54, -0.30, 0.05, 0.45, 0.78, 0.84, 0.84]),
    "long": ([0, 18, 32, 44, 54, 62, 70, 120, 180], [-0.74, -0.68, -0.56, -0.30, 0.10, 0.70, 1.45, 1.55, 1.55]),
    "bun": (
        [0, 24, 42, 56, 68, 76, 84, 96, 118, 180],
        [-0.64, -0.62, -0.54, -0.44, -0.22, 0.0, 0.02, -0.12, 0.10, 0.35],
    ),
    "curly": (
        [0, 24, 40, 54, 64, 74, 84, 100, 118, 180],
        [-0.62, -0.60, -0.54, -0.44, -0.24, 0.06, 0.16, 0.22, 0.35, 0.42],
    ),
    "buzz": (
        [0, 22, 36, 46, 58, 70, 78, 90, 104, 118, 180],
        [-0.66, -0.64, -0.66, -0.54, -0.42, -0.12, 0.0, -0.18, -0.10, 0.20, 0.40],
    ),
    "fringe": ([0, 20, 36, 46, 56, 64, 72, 120, 180], [-0.33, -0.33, -0.33, -0.28, 0.05, 0.40, 0.72, 0.78, 0.78]),
}
_THICKNESS = {
    "short": 0.10,
    "swept": 0.12,
    "bob": 0.12,
    "long": 0.11,
    "bun": 0.05,
    "curly": 0.26,
    "buzz": 0.018,
    "fringe": 0.13,
}
HANGING = ("bob", "long", "fringe")
_ROOTS = {"bob": "bun", "long": "bun", "fringe": "bun"}  # where hanging hair grows, behind what it covers


def hairline(style: str, azimuth: Array) -> Array:
    """Height of the lower edge of the hair at an azimuth in radians."""
    degrees, heights = _EDGES[style]
    size = np.abs(np.rad2deg(azimuth))
    soft = [np.interp(np.abs(size + shift), degrees, heights) for shift in (-5, -2.5, 0, 2.5, 5)]
    edge: Array = np.mean(soft, axis=0)
    return edge


def roots(style: str, azimuth: Array) -> Array:
    """Height on the head below which no hair grows."""
    return np.minimum(hairline(style, azimuth), hairline(_ROOTS.get(style, style), azimuth))


def _thickness(identity: Identity, azimuth: Array, key: Array, s: Array, rng: np.random.Generator) -> Array:
    """Distance of the shell from the skull; ``s`` runs from 0 at the crown to 1 at the edge of the hair."""
    style = identity.hair_style
    volume = _THICKNESS[style] * (0.6 + 0.4 * identity.hair_volume)
    profile = np.clip(1 - s ** (7 if style in HANGING else 3.5), 0, 1) ** 0.6
    front = np.cos(azimuth)
    thick = np.full_like(key, volume)
    thick *= 0.62 + 0.38 * (1 - smoothstep(key, -0.75, -0.15)) if style in ("short", "swept") else 1.0
    if style in ("short", "swept"):
        quiff = smoothstep(front, 0.25, 0.9) * bump(0 * key, key + 0.78, 1, 0.16)
        lean = 1 + 0.8 * identity.parting * np.sin(azimuth)
        thick += (0.13 if style == "swept" else 0.05) * identity.hair_volume * quiff * lean
    if style in ("bob", "long"):
        groove = np.exp(-0.5 * ((azimuth - 0.45 * identity.parting) / 0.10) ** 2) * smoothstep(front, -0.2, 0.5)
        thick -= 0.7 * volume * groove * smoothstep(key, -1.1, -0.9) * (1 - smoothstep(s, 0.9, 1))
    if style == "curly":
        curls = sum(
            np.sin(azimuth * k + rng.uniform(0, 6.3)) * np.sin(key * 2.9 * k + rng.uniform(0, 6.3))
            for k in (7, 9, 12, 15)
        )
        thick += 0.035 * curls * smoothstep(key, KEY_TOP, KEY_TOP + 0.2) + 0.10 * bump(0 * key, key + 0.95, 1, 0.25)
    waves = 0.08 * volume * np.sin(azimuth * 23 + 2 * np.sin(key * 5 + azimuth * 3))
    ends: float | Array = (
        -0.02 if style not in HANGING else np.where(np.abs(np.rad2deg(azimuth)) < 64, -0.015, 0.35 * volume)
    )
    result: Array = (thick + waves) * profile + ends * (1 - profile)
    return result


def hair(identity: Identity) -> list[Part]:
    """Shell of the identity's hair style, and a bun where it has one."""
    style = identity.hair_style
    rng = np.random.default_rng(identity.rng_seed)
    degrees = np.concatenate([np.linspace(0, 30, 11)[:-1], np.linspace(30, 76, 24)[:-1], np.linspace(76, 180, 16)])
    columns = np.deg2rad(np.concatenate([-degrees[:0:-1], degrees]))
    rows = np.linspace(0, 1, 26)
    azimuth, s = (side.ravel() for side in np.meshgrid(columns, rows))
    edge = hairline(style, azimuth) + np.interp(azimuth, columns, 0.006 * rng.normal(size=len(columns)))
    key = KEY_TOP + (edge - KEY_TOP) * s**1.45
    hang = key > -0.02
    base = skull(azimuth, np.where(hang, -0.02, key) if style in HANGING else key, identity)
    base[:, 1] = np.where(hang & (style in HANGING), key, base[:, 1])

    thick = _thickness(identity, azimuth, key, s, rng)
    outward = base - np.array([0.0, -0.15, 0.05])
    outward[:, 1] *= np.where(hang, 0.0, 1.0)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    position = base + outward * thick[:, None]
    front = np.cos(azimuth)
    if style == "long":
        taper = smoothstep(key, 0.4, 1.5)
        position[:, 0] *= 1 + 0.10 * taper
        position[:, 2] += 0.12 * taper * (front > 0)
    shade = (
        0.55
        + 0.45 * smoothstep(s, 0.0, 0.25)
        - 0.25 * smoothstep(key, 0.2, 1.0)
        - 0.3 * smoothstep(s, 0.9, 1.0) * (style not in HANGING)
    )
    uv = np.stack([(azimuth / np.pi + 1) / 2, s], 1)
    gloss = 0.0 if style in ("curly", "buzz") else 0.06 + 0.35 * float(np.mean(identity.hair)) ** 0.5
    follow = 1 - 0.55 * smoothstep(key, 0.6, 1.5)
    shell = Part(
        position,
        grid_triangles(len(rows), len(columns)),
        "hair",
        uv,
        np.clip(shade, 0.25, 1),
        gloss,
        14.0,
        follow,
        double_sided=style in HANGING,
    )
    return [shell, _bun(identity)] if style == "bun" else [shell]


def _bun(identity: Identity) -> Part:
    polar, turn = np.linspace(0, np.pi, 13), np.linspace(-np.pi, np.pi, 25)
    angle, theta = (side.ravel() for side in np.meshgrid(turn, polar))
    radius = 0.24 * (0.7 + 0.3 * identity.hair_volume) * (1 + 0.04 * np.sin(angle * 5 + theta * 4))
    ball = np.stack([np.sin(theta) * np.sin(angle), -np.cos(theta), -np.sin(theta) * np.cos(angle)], 1)
    position = np.array([0.0, -1.13, 0.22]) + radius[:, None] * ball
    uv = np.stack([(angle / np.pi + 1) / 2, theta / np.pi], 1)
    return Part(position, grid_triangles(13, 25), "hair", uv, 0.85 - 0.3 * smoothstep(theta, 1.2, 2.6), 0.3, 14.0)
