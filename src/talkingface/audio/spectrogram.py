"""Mel spectrograms as Whisper and librosa have them: Hann window of 25 ms every 10 ms, Slaney's mel bands."""

import functools
import math

import torch
from torch import Tensor

RATE = 16000  # Hz
WINDOW, HOP = 400, 160  # samples
BREAK = 1000.0  # Hz: below it Slaney's mel scale is linear, above it logarithmic
LINEAR = 200.0 / 3  # Hz a mel below the break
RATIO = math.log(6.4) / 27  # logarithm of the step of a mel above it


@functools.cache
def mel_filters(bands: int, window: int = WINDOW, low: float = 0.0, high: float = RATE / 2) -> Tensor:
    """Triangular filters of equal area on Slaney's mel scale, float64.

    The scale and the area are those of the Auditory Toolbox (Slaney 1998).

    Args:
        bands: how many.
        window: samples that a spectrum is of.
        low, high: where the first filter begins and the last one ends, in Hz.

    Returns:
        ``(bands, 1 + window // 2)``.

    >>> mel_filters(80).shape
    torch.Size([80, 201])
    """
    break_mel = BREAK / LINEAR
    mels = torch.linspace(_mel(low), _mel(high), bands + 2, dtype=torch.float64)
    hertz = torch.where(mels < break_mel, LINEAR * mels, BREAK * torch.exp(RATIO * (mels - break_mel)))
    left, centre, right = hertz.unfold(0, 3, 1)[..., None].unbind(1)
    bins = torch.linspace(0.0, RATE / 2, window // 2 + 1, dtype=torch.float64)
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0) * 2 / (right - left)


def mel_power(sound: Tensor, bands: int) -> Tensor:
    """Power in each band.

    Args:
        sound: 16 kHz ``(B, S)``, filled at both ends as the convention wants it.
        bands: how many.

    Returns:
        ``(B, 1 + (S - 400) // 160, bands)``, at least 0.
    """
    window = torch.hann_window(WINDOW, dtype=sound.dtype, device=sound.device)
    power = torch.fft.rfft(sound.unfold(1, WINDOW, HOP) * window).abs().square()
    banded: Tensor = power @ mel_filters(bands).T.to(power)
    return banded


def _mel(hertz: float) -> float:
    return hertz / LINEAR if hertz < BREAK else BREAK / LINEAR + math.log(hertz / BREAK) / RATIO
