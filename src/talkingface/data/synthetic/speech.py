"""A source–filter formant synthesiser (after Klatt, 1980): glottal pulses and noise through moving resonances.

The time-varying filter is applied by overlap-add: every 5 ms window of the source is multiplied by the transfer
function of the vocal tract at its centre. That is vectorised over the clip and needs numpy only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .phonemes import SOUNDS, Phoneme

SAMPLE_RATE = 16000
_HOP, _WINDOW, _FFT = 80, 160, 1024
_BANDWIDTHS = np.array([60.0, 90.0, 130.0, 220.0, 300.0])
_HIGH = np.array([3500.0, 4500.0])  # fourth and fifth formant
Array = NDArray[np.float64]


def synthesise(
    phonemes: Sequence[Phoneme],
    samples: int,
    pitch_hz: float,
    tract: float,
    rng: np.random.Generator,
    stresses: Sequence[float] = (),
) -> NDArray[np.float32]:
    """Speak a string of phonemes.

    Args:
        phonemes: in time, from second 0 on, without gaps.
        samples: length of the result.
        pitch_hz: median fundamental frequency of the voice.
        tract: formant scale of the voice; above 1 for a shorter vocal tract.
        rng: source of the noise and of the pitch movement.
        stresses: seconds of stressed vowels, where pitch and loudness rise.

    Returns:
        Mono wave at 16 kHz in [-1, 1], ``(samples,)``.
    """
    count = samples // _HOP + 3
    time = np.arange(count) * _HOP / SAMPLE_RATE
    tracks = _tracks(phonemes, time)
    stress = sum((np.exp(-0.5 * ((time - at) / 0.09) ** 2) for at in stresses), np.zeros(count))
    pitch = _pitch(phonemes, time, pitch_hz, stress, rng)

    at = np.arange(count * _HOP)
    steps = np.arange(count) * _HOP
    phase = np.cumsum(np.interp(at, steps, pitch)) / SAMPLE_RATE
    voice = _glottis(phase % 1.0) * np.interp(at, steps, tracks["voice"] * (1 + 0.35 * stress))
    noise = rng.normal(size=len(at))
    breath = noise * (np.interp(at, steps, tracks["breath"]) + 0.012 * np.interp(at, steps, tracks["voice"]))
    hiss = noise * np.interp(at, steps, tracks["hiss"])

    frequency: Array = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    formants: Array = np.concatenate([tracks["formants"], np.broadcast_to(_HIGH, (count, 2))], axis=1) * tract
    throat = _cascade(formants, frequency) * tracks["damping"][:, None] ** (frequency / 1000)
    mouth = np.exp(-0.5 * ((frequency - tracks["centre"][:, None]) / tracks["spread"][:, None]) ** 2)
    wave = _overlap_add(voice + breath, throat, samples) + _overlap_add(hiss, mouth.astype(complex), samples)
    loud = np.sqrt(np.mean(wave**2)) + 1e-9
    result: NDArray[np.float32] = np.tanh(0.09 / loud * wave).astype(np.float32)
    return result


def _tracks(phonemes: Sequence[Phoneme], time: Array) -> dict[str, Array]:
    """Control parameters at the given times, smoothed over the borders of phonemes."""
    count = len(time)
    formants = np.zeros((count, 3))
    voice, breath, hiss, nasal = (np.zeros(count) for _ in range(4))
    centre, spread = np.full(count, 4000.0), np.full(count, 2000.0)
    starts = np.array([phoneme.start for phoneme in phonemes])
    which = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, len(phonemes) - 1)
    for index in np.unique(which):
        phoneme, here = phonemes[index], which == index
        sound = SOUNDS[phoneme.symbol]
        progress = np.clip((time[here] - phoneme.start) / (phoneme.end - phoneme.start), 0, 1)
        glide = np.array(sound.glide or sound.formants)
        formants[here] = np.array(sound.formants) + progress[:, None] * (glide - np.array(sound.formants))
        strength = {"vowel": 1.0, "glide": 0.6, "nasal": 0.42, "fricative": 0.22, "stop": 0.10, "affricate": 0.1}.get(
            sound.kind, 0.0
        )
        voice[here] = strength if sound.voiced else 0.0
        if sound.glide is not None:
            voice[here] *= 1 - 0.4 * progress  # the second half of a diphthong is the weaker one
        nasal[here] = float(sound.kind == "nasal")
        level = np.full(len(progress), sound.noise[2])
        if sound.kind == "stop":  # closure, then a burst
            level = np.where(progress > 0.62, level * np.exp(-(progress - 0.62) * 8), 0.0)
        elif sound.kind == "affricate":
            level = np.where(progress > 0.4, level, 0.0)
        if sound.kind == "aspirate":
            breath[here] = level
        elif sound.noise[2] > 0:
            hiss[here], centre[here], spread[here] = level, sound.noise[0], sound.noise[1] / 2
    return {
        "formants": np.stack([_smooth(formants[:, column], 0.018) for column in range(3)], axis=1),
        "voice": _smooth(voice, 0.012),
        "breath": _smooth(breath, 0.010),
        "hiss": _smooth(hiss, 0.006),
        "damping": 1 - 0.35 * _smooth(nasal, 0.01),  # the nose swallows high frequencies
        "centre": centre,
        "spread": spread,
    }


def _smooth(track: Array, width: float) -> Array:
    """Symmetric Gaussian smoothing; ``width`` in seconds."""
    sigma = width * SAMPLE_RATE / _HOP
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(track, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _pitch(phonemes: Sequence[Phoneme], time: Array, median: float, stress: Array, rng: np.random.Generator) -> Array:
    """Fundamental frequency: declination over a phrase, rises on stresses, slow wander, jitter."""
    since, begin = np.zeros(len(time)), 0.0
    for phoneme in phonemes:
        if phoneme.symbol == "sil":
            begin = phoneme.end
        since[(time >= phoneme.start) & (time < phoneme.end)] = begin
    fall = 1.10 - 0.10 * np.clip(time - since, 0, 3)
    wander = _smooth(rng.normal(size=len(time)), 0.15) * 0.35
    jitter = 0.008 * rng.normal(size=len(time))
    return np.clip(median * (fall + 0.14 * stress + wander * 0.15 + jitter), 60, 420)


def _glottis(phase: Array) -> Array:
    """Derivative of the glottal flow of Klatt & Klatt (1990): open for 60 % of the period, then shut at once.

    The abrupt end is what excites the higher formants.
    """
    opened = phase / 0.6
    return np.where(opened < 1, 0.3 * (2 * opened - 3 * opened**2), 0.0)


def _cascade(formants: Array, frequency: Array) -> NDArray[np.complex128]:
    """Transfer function of resonators in series, each with unit gain at 0 Hz, ``(times, frequencies)``."""
    z = np.exp(-2j * np.pi * frequency / SAMPLE_RATE)
    response = np.ones((len(formants), len(frequency)), complex)
    for index, bandwidth in enumerate(_BANDWIDTHS):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        b = 2 * radius * np.cos(2 * np.pi * formants[:, index : index + 1] / SAMPLE_RATE)
        c = -(radius**2)
        response *= (1 - b - c) / (1 - b * z - c * z * z)
    return response


def _overlap_add(source: Array, response: NDArray[np.complex128], samples: int) -> Array:
    count = len(response)
    padded = np.pad(source, (_HOP, _WINDOW))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(_WINDOW) + 0.5) / _WINDOW)  # sums to one at half overlap
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: count * _HOP : _HOP][:count] * window
    filtered = np.fft.irfft(np.fft.rfft(pieces, _FFT) * response, _FFT)
    result = np.zeros((count * _HOP) + _FFT + _HOP)
    blocks = np.pad(filtered, ((0, 0), (0, -_FFT % _HOP))).reshape(count, -1, _HOP)
    rows = np.zeros((count + blocks.shape[1], _HOP))
    for block in range(blocks.shape[1]):
        rows[block : block + count] += blocks[:, block]
    result = rows.ravel()
    return result[_HOP : _HOP + samples]
