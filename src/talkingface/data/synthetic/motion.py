"""How a head moves during a clip: pose, drift, blinks, glances, brows; all smooth and drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .expression import EXPRESSIONS, INDEX
from .render import REST_NOSE, REST_ZOOM

FPS = 25.0
Array = NDArray[np.float64]

_POSE_SPREAD = np.array([12.0, 6.5, 5.0])  # standard deviation of yaw, pitch, roll in degrees
_POSE_LIMIT = np.array([30.0, 20.0, 15.0])
_MOOD_POSE = {
    "sad": (0, 5, 0),
    "contempt": (4, -4, 3),
    "fear": (0, -3, 0),
    "angry": (0, 4, 0),
    "disgusted": (5, -3, -3),
}


@dataclass(frozen=True)
class Trajectory:
    """Pose ``(T, 3)`` in degrees, neck joint ``(T, 2)`` in the frame, zoom ``(T,)``, expression ``(T, E)``."""

    pose: Array
    neck: Array
    zoom: Array
    expression: NDArray[np.float32]


def wander(rng: np.random.Generator, frames: int, low: float, high: float) -> Array:
    """Band-limited random process of unit variance: a sum of eight sinusoids between two frequencies in Hz."""
    frequency = np.exp(rng.uniform(np.log(low), np.log(high), 8))
    weight = frequency**-0.5
    weight /= np.sqrt(0.5 * np.sum(weight**2))
    time = (np.arange(frames) + 0.5) / FPS
    process: Array = (weight * np.sin(2 * np.pi * (frequency * time[:, None] + rng.uniform(size=8)))).sum(axis=1)
    return process


def soft_limit(value: Array, limit: Array | float) -> Array:
    """Bend values smoothly so that they stay inside ± ``limit``."""
    bent: Array = limit * np.tanh(value / limit)
    return bent


def draw_trajectory(
    rng: np.random.Generator,
    frames: int,
    mouth: NDArray[np.float32],
    offset: NDArray[np.float32],
    emotion: str,
    stresses: Sequence[float],
    liveliness: float = 1.0,
) -> Trajectory:
    """Draw the movement of a clip.

    Args:
        rng: source of randomness.
        frames: number of frames.
        mouth: expression of the speaking mouth, ``(frames, E)``.
        offset: expression of the emotion, ``(E,)``.
        emotion: its name; some change how the head is held.
        stresses: seconds of stressed vowels, on which the head nods and the brows rise.
        liveliness: factor on all movement of the head.

    Returns:
        The trajectory, a pure function of the arguments.
    """
    time = (np.arange(frames) + 0.5) / FPS
    held = rng.normal(size=3).clip(-1.5, 1.5) * np.array([7.0, 3.0, 2.0]) + np.array(_MOOD_POSE.get(emotion, (0, 0, 0)))
    slow = np.stack([wander(rng, frames, 0.09, 0.55) for _ in range(3)], axis=1) * _POSE_SPREAD
    quick = np.stack([wander(rng, frames, 0.6, 1.8) for _ in range(3)], axis=1) * np.array([0.8, 0.6, 0.5])
    beat = np.zeros(frames)
    brows = np.zeros(frames)
    for at in stresses:
        strength = float(rng.uniform(0.3, 1.0))
        beat += strength * np.exp(-0.5 * ((time - at - 0.02) / 0.10) ** 2)
        if rng.random() < 0.35:
            brows += 0.35 * strength * np.exp(-0.5 * ((time - at) / 0.14) ** 2)
    pose = held + slow + quick
    pose[:, 1] += 3.2 * beat
    pose = soft_limit(liveliness * pose, _POSE_LIMIT)

    home = np.array([REST_NOSE[0], REST_NOSE[1] + 0.055]) + np.array([0.05, 0.03]) * rng.uniform(-1, 1, size=2)
    drift = np.stack([0.046 * wander(rng, frames, 0.07, 0.4), 0.022 * wander(rng, frames, 0.07, 0.4)], axis=1)
    neck = home + liveliness * drift
    neck[:, 0] -= 0.0007 * pose[:, 0]  # the body leans a little with the turn
    zoom = REST_ZOOM * np.exp(
        rng.uniform(-0.08, 0.08) + liveliness * soft_limit(0.055 * wander(rng, frames, 0.05, 0.3), 0.15)
    )

    expression = offset.astype(np.float64) * (1 + 0.12 * wander(rng, frames, 0.1, 0.5))[:, None] + mouth
    # A mouth that must close closes, whatever the mood: lips of a smile still meet for m, b and p.
    closing = mouth[:, INDEX["press"]]
    for name in ("lip_part", "jaw"):
        expression[:, INDEX[name]] *= 1 - closing
    blink = blinks(rng, frames)
    expression[:, INDEX["blink_left"]] += blink
    expression[:, INDEX["blink_right"]] += blink
    expression[:, INDEX["brow_raise"]] += brows + 0.08 * wander(rng, frames, 0.1, 0.6)
    look = glances(rng, frames)
    # Eyes hold their target while the head turns (vestibulo-ocular reflex), in part.
    expression[:, INDEX["gaze_x"]] += look[:, 0] + 0.014 * pose[:, 0]
    expression[:, INDEX["gaze_y"]] += look[:, 1] - 0.016 * pose[:, 1]
    return Trajectory(pose, neck, zoom, limited(expression))


def limited(expression: Array) -> NDArray[np.float32]:
    """Clip every parameter to its range."""
    low = np.zeros(len(EXPRESSIONS))
    for name in ("lip_width", "smile", "brow_raise", "gaze_x", "gaze_y", "eye_wide"):
        low[INDEX[name]] = -1
    return np.clip(expression, low, 1).astype(np.float32)


def blinks(rng: np.random.Generator, frames: int) -> Array:
    """Lid closure in [0, 1]: 17 blinks a minute, 80 ms to close, 160 ms to open, never two within half a second."""
    time = (np.arange(frames) + 0.5) / FPS
    closure = np.zeros(frames)
    at = float(rng.uniform(0.1, 3.0))
    while at < frames / FPS:
        down = (time - at) / 0.080
        up = (time - at - 0.080) / float(rng.uniform(0.14, 0.20))
        shape = np.where(
            down < 1,
            np.clip(down, 0, 1) ** 2 * (3 - 2 * np.clip(down, 0, 1)),
            1 - np.clip(up, 0, 1) ** 2 * (3 - 2 * np.clip(up, 0, 1)),
        )
        closure = np.maximum(closure, shape)
        at += 0.5 + float(rng.exponential(3.0))
    return closure


def glances(rng: np.random.Generator, frames: int) -> Array:
    """Gaze ``(frames, 2)``: fixations of about a second joined by saccades of 40–60 ms."""
    time = (np.arange(frames) + 0.5) / FPS
    gaze = np.zeros((frames, 2))
    at, here = 0.0, np.zeros(2)
    gaze[:] = here
    while at < frames / FPS:
        at += 0.35 + float(rng.exponential(0.8))
        there = rng.normal(size=2) * (0.22, 0.12) if rng.random() < 0.7 else rng.normal(size=2) * (0.5, 0.2)
        there = np.clip(there, -0.8, 0.8)
        gaze += (there - here) / (1 + np.exp(-np.clip((time - at) / 0.012, -60, 60)))[:, None]
        here = there
    return gaze
