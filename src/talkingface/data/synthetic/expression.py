"""Names of the expression parameters, and the eight emotions as offsets of them.

Left and right are the person's own: the person's left eye is on the right of the picture (landmarks 42–47).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

EXPRESSIONS: tuple[str, ...] = (
    "jaw",  # 0 closed … 1 wide open
    "lip_width",  # -1 narrow … 1 spread
    "rounding",  # 0 … 1 puckered, as in "oo"
    "press",  # 0 … 1 lips pressed together and rolled in, as in "m"
    "smile",  # -1 corners down … 1 corners up and out
    "brow_raise",  # -1 … 1
    "brow_furrow",  # 0 … 1 inner ends down and together
    "blink_left",  # 0 open … 1 shut
    "blink_right",
    "gaze_x",  # -1 … 1 is 25° to the right of the picture
    "gaze_y",  # -1 … 1 is 20° down
    "lip_part",  # 0 … 1 lips apart with the teeth together, as in "s"
    "sneer",  # 0 … 1 upper lip and nose wings raised
    "brow_sad",  # 0 … 1 inner ends up
    "smirk",  # 0 … 1 the person's left mouth corner up
    "eye_wide",  # -1 narrowed … 1 wide
)
INDEX: dict[str, int] = {name: column for column, name in enumerate(EXPRESSIONS)}

EMOTIONS: tuple[str, ...] = ("neutral", "angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised")
INTENSITIES: dict[int, float] = {1: 0.4, 2: 0.7, 3: 1.0}  # MEAD films every emotion but neutral at three levels

_OFFSETS: dict[str, dict[str, float]] = {
    "neutral": {},
    "angry": {"brow_furrow": 1.0, "brow_raise": -0.35, "press": 0.3, "smile": -0.35, "sneer": 0.25, "eye_wide": 0.15},
    "contempt": {"smirk": 1.0, "eye_wide": -0.3, "brow_raise": 0.15, "press": 0.2},
    "disgusted": {"sneer": 1.0, "brow_furrow": 0.6, "eye_wide": -0.45, "smile": -0.45, "lip_part": 0.15},
    "fear": {"brow_raise": 0.55, "brow_sad": 0.9, "eye_wide": 0.9, "lip_width": 0.55, "lip_part": 0.45, "jaw": 0.08},
    "happy": {"smile": 1.0, "eye_wide": -0.3, "brow_raise": 0.2, "lip_part": 0.5, "lip_width": 0.2},
    "sad": {"brow_sad": 1.0, "smile": -0.8, "eye_wide": -0.35, "gaze_y": 0.25, "press": 0.1},
    "surprised": {"brow_raise": 1.0, "eye_wide": 1.0, "jaw": 0.3, "rounding": 0.2, "lip_part": 0.2},
}


def vector(**values: float) -> Floats:
    """Expression vector with the named parameters set and all others zero.

    Args:
        values: parameter name to value.

    Returns:
        ``(len(EXPRESSIONS),)``.

    Raises:
        KeyError: for a name that is not in ``EXPRESSIONS``.

    >>> float(vector(jaw=0.5)[0])
    0.5
    """
    result = np.zeros(len(EXPRESSIONS), np.float32)
    for name, value in values.items():
        result[INDEX[name]] = value
    return result


def emotion_offset(emotion: str, intensity: int) -> Floats:
    """What an emotion adds to the expression parameters.

    Args:
        emotion: one of ``EMOTIONS``.
        intensity: 1, 2 or 3.

    Returns:
        ``(len(EXPRESSIONS),)``; zero for ``"neutral"``.

    Raises:
        KeyError: for an unknown emotion or intensity.
    """
    return vector(**_OFFSETS[emotion]) * np.float32(INTENSITIES[intensity])
