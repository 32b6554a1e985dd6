"""Expressions: how the skin moves for a vector of parameters, as functions of the canonical coordinates."""

import numpy as np
from numpy.typing import NDArray

from .expression import INDEX
from .head import EYE_WIDTH, EYE_X, EYE_Y, GRID, MOUTH_WIDTH, MOUTH_Y, bump, smoothstep
from .identity import Identity

Array = NDArray[np.float64]

JAW_HINGE = np.array([0.0, 0.06, 0.02])  # y, z of the axis through both jaw joints
JAW_ANGLE = np.deg2rad(16.0)  # at jaw = 1
EYE_RADIUS = 0.168  # larger than life, as the head is stylised
_CLOSED = 0.016
LID_GAP = 0.016  # lid above eyeball; the chord of a half closed lid stays outside of the ball


def eye_centre(neutral: Array, side: int) -> Array:
    """Centre of an eyeball from the sculpted socket; ``side`` is -1 for the left of the picture, 1 for the right."""
    near = np.exp(-0.5 * (((GRID.cx - side * EYE_X) / 0.03) ** 2 + ((GRID.cy - EYE_Y + 0.045) / 0.03) ** 2))
    centre: Array = (neutral * near[:, None]).sum(0) / near.sum()
    centre[2] += EYE_RADIUS - 0.01
    return centre


def jaw_rotation(position: Array, amount: Array) -> Array:
    """Displacement of points that follow the jaw by ``amount`` (fraction of the full opening, per point)."""
    angle = JAW_ANGLE * amount
    y, z = position[:, 1] - JAW_HINGE[1], position[:, 2] - JAW_HINGE[2]
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.zeros_like(y), y * cosine - z * sine - y, y * sine + z * cosine - z], axis=1)


def deform(neutral: Array, identity: Identity, expression: Array) -> Array:
    """Move the neutral skin.

    Args:
        neutral: result of :func:`head.sculpt`, ``(V, 3)``, lids and lips closed.
        identity: whose face it is.
        expression: ``(len(EXPRESSIONS),)``.

    Returns:
        Positions ``(V, 3)``; at zero expression the eyes are open and the lips closed.
    """
    value = {name: float(expression[column]) for name, column in INDEX.items()}
    cy, ax, side = GRID.cy, np.abs(GRID.cx), np.sign(GRID.cx)
    front = smoothstep(np.cos(GRID.azimuth), 0.0, 0.4)
    shift = np.zeros_like(neutral)
    _mouth(shift, neutral, value)
    _brows(shift, value)
    # cheeks lifted by a smile, nose wings by a sneer
    smile = value["smile"]
    lift = np.where(side > 0, smile + 0.8 * value["smirk"], smile)
    cheek = bump(ax - 0.37, cy - 0.17, 0.12, 0.10)
    shift[:, 1] -= 0.035 * lift * cheek
    shift[:, 2] -= 0.035 * lift * cheek
    wing = bump(ax - 0.11, cy - 0.26, 0.05, 0.06)
    shift[:, 1] -= 0.028 * value["sneer"] * wing
    shift[:, 2] -= 0.022 * value["sneer"] * bump(ax - 0.16, cy - 0.22, 0.05, 0.07)
    moved = neutral + shift * front[:, None]
    _lids(moved, neutral, identity, value)
    return moved


def _mouth(shift: Array, neutral: Array, value: dict[str, float]) -> None:
    cx, cy, ax, side = GRID.cx, GRID.cy, np.abs(GRID.cx), np.sign(GRID.cx)
    q = cx / MOUTH_WIDTH
    below = (cy > MOUTH_Y) | ((GRID.slit == 2) & (GRID.lower == 1))
    d = cy - MOUTH_Y
    arch = np.clip(1 - q * q, 0, 1) ** 0.55
    # The jaw carries the lower lip wholly, the corners by a third, the upper lip hardly.
    corner = 0.34
    edge_low, edge_up = corner + (1 - corner) * arch, corner * (1 - arch)
    settle = smoothstep(d, 0.0, 0.16)
    carried = np.where(below, edge_low + (1 - edge_low) * settle, edge_up * np.exp(-0.5 * (d / 0.09) ** 2))
    outside = smoothstep(ax, MOUTH_WIDTH, 0.5)
    lateral = smoothstep(cy, 0.30, 0.78)
    beyond = np.abs(q) > 1
    carried = np.where(beyond, carried * (1 - outside) + lateral * outside, carried)
    chin = smoothstep(cy, 0.12, 0.5)
    carried = np.where(~below & beyond, carried * chin, carried)
    shift += jaw_rotation(neutral, value["jaw"] * carried)

    near = bump(cx, d, 0.24, 0.13)
    lips = bump(cx, d, 0.30, 0.075)
    at_corner = bump(ax - MOUTH_WIDTH, d, 0.085, 0.085)
    fade_up, fade_low = np.exp(-0.5 * (d / 0.06) ** 2), np.exp(-0.5 * (d / 0.08) ** 2)

    part = value["lip_part"]
    shift[:, 1] += arch * np.where(below, 0.042 * part * fade_low, -0.026 * part * fade_up)

    wide = value["lip_width"]
    shift[:, 0] += (
        side * 0.045 * wide * np.clip(ax / MOUTH_WIDTH, 0, 1) * bump(np.maximum(ax - MOUTH_WIDTH, 0), d, 0.12, 0.11)
    )
    shift[:, 2] += 0.022 * wide * near

    rounding = value["rounding"]
    pull = np.clip(ax / MOUTH_WIDTH, 0, 1) * bump(np.maximum(ax - MOUTH_WIDTH, 0), d, 0.12, 0.12)
    shift[:, 0] -= side * 0.085 * rounding * pull
    shift[:, 2] -= 0.10 * rounding * bump(cx, d, 0.14, 0.09)
    shift[:, 1] += rounding * arch * np.where(below, 0.010 * fade_low, -0.004 * fade_up)

    press = value["press"]
    inward = 0.55 * d * np.exp(-0.5 * (d / 0.055) ** 2)
    shift[:, 1] -= press * inward * bump(cx, d, 0.22, 0.2)
    shift[:, 2] += 0.035 * press * lips * np.exp(-0.5 * (d / 0.04) ** 2)
    shift[:, 2] -= 0.012 * press * bump(cx, d - 0.12, 0.12, 0.04)

    smile, smirk = value["smile"], np.where(side > 0, value["smirk"], 0.0)
    lift = smile + smirk
    shift[:, 0] += side * 0.05 * lift * at_corner
    shift[:, 1] -= 0.062 * lift * at_corner - 0.010 * smile * bump(cx, d, 0.10, 0.05)
    shift[:, 2] += 0.03 * lift * at_corner
    shift[:, 2] += 0.02 * lift * np.exp(-0.5 * ((ax - 0.27) / 0.03) ** 2) * bump(np.zeros_like(d), d + 0.03, 1, 0.08)

    sneer = value["sneer"]
    raised = (
        np.where(below, 0.0, 1.0)
        * bump(ax - 0.10, d, 0.10, 1.0)
        * np.exp(-0.5 * (d / 0.09) ** 2)
        * np.clip(1.2 - q * q, 0, 1)
    )
    shift[:, 1] -= 0.036 * sneer * raised * np.where(np.abs(q) < 1, arch, 0)


def _brows(shift: Array, value: dict[str, float]) -> None:
    cx, cy, ax, side = GRID.cx, GRID.cy, np.abs(GRID.cx), np.sign(GRID.cx)
    band = np.where(cy < -0.25, bump(0 * cx, cy + 0.25, 1, 0.13), np.exp(-0.5 * ((cy + 0.25) / 0.045) ** 2))
    spread = smoothstep(-ax, -0.58, -0.42)
    shift[:, 1] -= 0.062 * value["brow_raise"] * band * spread
    inner = bump(ax - 0.12, 0 * cy, 0.095, 1) * band
    outer = bump(ax - 0.40, 0 * cy, 0.09, 1) * band
    furrow = value["brow_furrow"]
    shift[:, 1] += furrow * (0.048 * inner - 0.008 * outer)
    shift[:, 0] -= side * 0.030 * furrow * bump(ax - 0.14, 0 * cy, 0.07, 1) * band * np.clip(ax / 0.1, 0, 1)
    shift[:, 2] -= 0.02 * furrow * bump(ax - 0.06, cy + 0.22, 0.03, 0.05)
    shift[:, 2] += 0.02 * furrow * bump(cx, cy + 0.22, 0.018, 0.05)
    shift[:, 1] += value["brow_sad"] * (-0.058 * inner + 0.022 * outer)


def _lids(moved: Array, neutral: Array, identity: Identity, value: dict[str, float]) -> None:
    cx, cy, ax = GRID.cx, GRID.cy, np.abs(GRID.cx)
    d = cy - EYE_Y
    q = (ax - EYE_X) / EYE_WIDTH
    arch = np.clip(1 - np.abs(q + 0.06 * (1 - q * q)) ** 2.3, 0, 1) ** 0.8
    below = (d > 1e-9) | ((GRID.slit == 1) & (GRID.lower == 1))
    blink = np.where(cx > 0, value["blink_left"], value["blink_right"])
    wide = value["eye_wide"]
    cheek = max(value["smile"], -1.0)
    opening = 0.094 * identity.eye_open + 0.026 * wide - 0.026 * value["gaze_y"]
    upper = opening * (1 - blink) - _CLOSED * blink  # closed lids meet in a curve below the line of the corners
    lower = (0.020 + 0.012 * wide + 0.012 * value["gaze_y"] - 0.016 * cheek) * (1 - blink) + _CLOSED * blink
    fall_up = np.clip(1 - np.abs(d) / 0.19, 0, 1) ** 1.15
    fall_low = np.exp(-0.5 * (d / 0.05) ** 2)
    moved[:, 1] += arch * np.where(below, lower * fall_low, -upper * fall_up)
    for side in (-1, 1):
        centre = eye_centre(neutral, side)
        flat = ((moved[:, :2] - centre[:2]) ** 2).sum(1)
        radius = EYE_RADIUS + LID_GAP
        ball = centre[2] - np.sqrt(np.maximum(radius**2 - flat, 0))
        near = (flat < radius**2) & (np.sign(cx) == side) & (GRID.azimuth * side < 1.2)
        sharp = 70.0
        merged = -np.logaddexp(-sharp * moved[:, 2], -sharp * ball) / sharp
        fade = smoothstep(flat, 0.55 * radius**2, 0.95 * radius**2)
        moved[:, 2] = np.where(near, merged * (1 - fade) + moved[:, 2] * fade, moved[:, 2])
