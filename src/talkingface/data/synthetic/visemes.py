"""From phonemes to mouth movement, with coarticulation by dominance (after Cohen & Massaro, 1993)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .expression import EXPRESSIONS, INDEX
from .phonemes import SOUNDS, Phoneme

_NAMES = ("jaw", "lip_width", "rounding", "press", "lip_part")
_RATE = 200  # steps a second of the articulation tracks
_WIDTH = 0.038  # seconds; standard deviation of the smoothing across borders


def mouth_track(phonemes: Sequence[Phoneme], frames: int, fps: float = 25.0) -> NDArray[np.float32]:
    """Expression parameters that the mouth goes through while speaking.

    Every phoneme pulls towards its viseme with its dominance; pulls are spread in time by a symmetric Gaussian, so the
    lips neither lead nor lag the sound, and lips still close fully for m, b and p between open vowels.

    Args:
        phonemes: from second 0 on, without gaps.
        frames: number of frames.
        fps: frames a second; a frame is sampled at its middle.

    Returns:
        ``(frames, len(EXPRESSIONS))``; zero but for jaw, lip_width, rounding, press and lip_part.
    """
    seconds = frames / fps
    time = (np.arange(int(np.ceil((seconds + 0.4) * _RATE))) + 0.5) / _RATE - 0.2  # margins for the smoothing
    starts = np.array([phoneme.start for phoneme in phonemes])
    which = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, len(phonemes) - 1)
    target, weight = np.zeros((len(time), len(_NAMES))), np.ones(len(time))
    for index, phoneme in enumerate(phonemes):
        sound, here = SOUNDS[phoneme.symbol], which == index
        target[here], weight[here] = sound.mouth, sound.dominance
        if sound.glide_mouth is not None:
            later = here & (time > 0.5 * (phoneme.start + phoneme.end))
            target[later] = sound.glide_mouth
    reach = int(4 * _WIDTH * _RATE)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_WIDTH * _RATE)) ** 2)
    total = np.convolve(weight, kernel, mode="same")
    track = np.zeros((frames, len(EXPRESSIONS)), np.float32)
    middle = (np.arange(frames) + 0.5) / fps
    for column, name in enumerate(_NAMES):
        smooth = np.convolve(weight * target[:, column], kernel, mode="same") / total
        track[:, INDEX[name]] = np.interp(middle, time, smooth)
    return track
