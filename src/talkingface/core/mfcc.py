"""Mel-frequency cepstral coefficients exactly as python_speech_features 0.6 has them by default, in float64.

SyncNet and the MFCC variants of AniTalker were trained on these; other libraries' (Hann window, power in dB, Slaney's
filters) are no substitute.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

RATE = 16000  # Hz
FRAME, HOP = 400, 160  # samples: 25 and 10 ms
SPECTRUM = 512  # points of the Fourier transform
FILTERS, COEFFICIENTS = 26, 13
PRE_EMPHASIS = 0.97
LIFTER = 22
EPSILON = torch.finfo(torch.float64).eps  # in place of a power of zero, whose logarithm is infinite
WINDOW, STEP = 20, 4  # columns: what SyncNet hears at once, and how far the next window lies, one video frame
FULL_SCALE = 32768.0
BLOCK = 4096  # frames transformed together, so that an hour of speech needs no gigabytes


def int16_values(wave: Tensor) -> Tensor:
    """Samples on the scale of 16-bit files, which is what the coefficients are defined on.

    Coefficients of samples in ``[-1, 1]`` look right but for the first, which is lower by 2 ln 32768 = 20.794.

    Args:
        wave: float in ``[-1, 1]``, ``(S,)``.

    Returns:
        float64 whole numbers in ``[-32768, 32767]``, ``(S,)``.

    >>> int16_values(torch.tensor([-1.0, 0.5, 1.0])).tolist()
    [-32768.0, 16384.0, 32767.0]
    """
    return (wave.double() * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)


def power_spectra(samples: Tensor) -> Tensor:
    """Power spectrum of each frame of 25 ms, every 10 ms; the last frames are filled with zeros.

    Args:
        samples: int16 values at 16 kHz, ``(S,)``.

    Returns:
        float64 ``(1 + ceil((S - 400) / 160), 257)``, one row at least.
    """
    return _spectra(_frames(samples))


def _frames(samples: Tensor) -> Tensor:
    """Overlapping views of the pre-emphasised samples, ``(N, 400)``."""
    samples = samples.double()
    emphasised = torch.cat([samples[:1], samples[1:] - PRE_EMPHASIS * samples[:-1]])
    count = 1 + max(0, math.ceil((len(samples) - FRAME) / HOP))
    padded = functional.pad(emphasised, (0, (count - 1) * HOP + FRAME - len(samples)))
    return padded.unfold(0, FRAME, HOP)  # no window function: rectangular


def _spectra(frames: Tensor) -> Tensor:
    spectra: Tensor = torch.fft.rfft(frames, SPECTRUM).abs().square() / SPECTRUM
    return spectra


def mel_filters() -> Tensor:
    """Triangular filters on whole bins, from 0 to 8000 Hz, mel(f) = 2595 log10(1 + f/700); ``(26, 257)``."""
    top = 2595.0 * math.log10(1 + RATE / 2 / 700.0)
    hertz = 700.0 * (10 ** (torch.linspace(0.0, top, FILTERS + 2, dtype=torch.float64) / 2595.0) - 1)
    left, centre, right = ((SPECTRUM + 1) * hertz / RATE).floor().unfold(0, 3, 1)[..., None].unbind(1)
    bins = torch.arange(SPECTRUM // 2 + 1, dtype=torch.float64)
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return torch.where(bins < centre, rising, falling).clamp(min=0.0)


def mel_energies(spectra: Tensor) -> Tensor:
    """Power in each filter; ``(N, 257)`` → ``(N, 26)``, with a tiny number in place of zero."""
    energies = spectra @ mel_filters().T
    return energies.masked_fill(energies == 0, EPSILON)


def mfcc(samples: Tensor) -> Tensor:
    """Coefficients of each frame of 25 ms, every 10 ms.

    Orthonormal DCT-II of the logarithm of the filters' energies, sine lifter of 22, and the logarithm of the frame's
    whole power in place of the first coefficient.

    Args:
        samples: int16 values at 16 kHz, ``(S,)``; see :func:`int16_values`.

    Returns:
        float64 ``(1 + ceil((S - 400) / 160), 13)``, one row at least.
    """
    order = torch.arange(COEFFICIENTS, dtype=torch.float64)
    middles = torch.arange(FILTERS, dtype=torch.float64) + 0.5
    cosines = math.sqrt(2 / FILTERS) * torch.cos(math.pi / FILTERS * order[:, None] * middles)
    # The DCT's first row has another scale, but the coefficient that it gives is replaced.
    lifter = 1 + LIFTER / 2 * torch.sin(math.pi * order / LIFTER)
    parts = []
    for frames in _frames(samples).split(BLOCK):
        spectra = _spectra(frames)
        coefficients = mel_energies(spectra).log() @ cosines.T * lifter
        power = spectra.sum(-1)
        coefficients[:, 0] = power.masked_fill(power == 0, EPSILON).log()
        parts.append(coefficients)
    return torch.cat(parts)


def mfcc_windows(coefficients: Tensor, count: int) -> Tensor:
    """The windows of 0.2 s that SyncNet hears, one a video frame of 40 ms.

    Args:
        coefficients: ``(N, 13)``, with ``N >= 4 * count + 16``.
        count: how many windows.

    Returns:
        ``(count, 1, 13, 20)``; window i holds columns 4i to 4i + 19.
    """
    return coefficients.unfold(0, WINDOW, STEP)[:count, None]
