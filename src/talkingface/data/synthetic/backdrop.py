"""What is behind a head: a studio wall, a room, lights out of focus, or a landscape; drawn once an identity."""

import numpy as np
from numpy.typing import NDArray

from .head import smoothstep
from .identity import Identity


def backdrop(identity: Identity, size: int) -> NDArray[np.float32]:
    """Background in linear RGB, ``(size, size, 3)``; the same picture at every size."""
    rng = np.random.default_rng([identity.rng_seed, 2])
    axis = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(axis, axis)
    wall = np.asarray(identity.wall)
    centre = rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.55)
    glow = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.28)
    picture = wall * (0.45 + 0.75 * glow)[..., None]
    if identity.backdrop == "room":
        for _ in range(6):
            left, top = rng.uniform(-0.1, 0.9), rng.uniform(-0.2, 0.6)
            width, height = rng.uniform(0.1, 0.35), rng.uniform(0.15, 0.7)
            blur = rng.uniform(0.01, 0.03)
            box = smoothstep(x, left - blur, left + blur) * smoothstep(-x, -left - width - blur, -left - width + blur)
            box *= smoothstep(y, top - blur, top + blur) * smoothstep(-y, -top - height - blur, -top - height + blur)
            tone = wall * rng.uniform(0.3, 1.8) * (1 + 0.12 * rng.normal(size=3).clip(-1.5, 1.5))
            picture += (tone - picture) * (0.75 * box)[..., None]
    elif identity.backdrop == "bokeh":
        picture *= 0.45
        for _ in range(16):
            spot = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 0.9))
            radius = rng.uniform(0.03, 0.09)
            tone = np.array([1.0, 0.75, 0.45]) * (1 + 0.4 * rng.normal(size=3).clip(-1.2, 1.2))
            picture += (0.30 * rng.uniform(0.3, 1) * (1 - smoothstep(spot, radius * 0.8, radius * 1.1)))[
                ..., None
            ] * tone
    elif identity.backdrop == "outdoor":
        horizon = (
            rng.uniform(0.45, 0.65)
            + 0.04 * np.sin(x * 5 + rng.uniform(0, 6))
            + 0.02 * np.sin(x * 13 + rng.uniform(0, 6))
        )
        sky = np.array([0.32, 0.50, 0.78]) * (0.7 + 0.6 * y)[..., None] + 0.12
        green = (
            np.array([0.10, 0.17, 0.06])
            * (1.3 - 0.5 * y)[..., None]
            * (1 + 0.12 * np.sin(x * 21 + 3 * np.sin(y * 17)))[..., None]
        )
        picture = sky + (green - sky) * smoothstep(y, horizon - 0.04, horizon + 0.04)[..., None]
    picture = picture * (1 - 0.35 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]
    return picture.clip(0.005, 1).astype(np.float32)
