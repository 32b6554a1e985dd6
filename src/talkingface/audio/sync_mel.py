"""The mel spectrogram that experts of lip synchrony hear, as Wav2Lip has it."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.audio.spectrogram import mel_filters
from talkingface.core.checks import check_shape
from talkingface.core.sync_window import BANDS, HOP, SAMPLES, WINDOW

PRE_EMPHASIS = 0.97
LOW, HIGH = 55.0, 7600.0  # Hz
FLOOR = 1e-5  # of the magnitude, -100 dB
REFERENCE = 20.0  # dB that are taken off
RANGE = 100.0  # dB below that which are spread over [-4, 4]
EXTENT = 4.0


def sync_mel(sound: Tensor) -> Tensor:
    """Mel spectrogram of the sound of windows.

    Args:
        sound: 16 kHz in ``[-1, 1]``, ``(B, 3801)`` from :func:`~talkingface.core.sync_window.first_sample` on.

    Returns:
        ``(B, 80, 16)`` in ``[-4, 4]``.

    >>> sync_mel(torch.zeros(1, 3801)).unique().tolist()
    [-4.0]
    """
    check_shape(sound, ("B", SAMPLES), "sound")
    return _columns(_emphasised(sound))


def sync_mel_of_clip(wave: Tensor) -> Tensor:
    """The same of whole clips, with silence beyond the ends.

    Args:
        wave: 16 kHz in ``[-1, 1]``, ``(B, S)``.

    Returns:
        ``(B, 80, 1 + S // 200)``, 80 columns a second.
    """
    check_shape(wave, ("B", "S"), "wave")
    return _columns(functional.pad(_emphasised(functional.pad(wave, (1, 0))), (WINDOW // 2, WINDOW // 2)))


def _emphasised(sound: Tensor) -> Tensor:
    return sound[:, 1:] - PRE_EMPHASIS * sound[:, :-1]


def _columns(emphasised: Tensor) -> Tensor:
    window = torch.hann_window(WINDOW, dtype=emphasised.dtype, device=emphasised.device)
    magnitude = torch.fft.rfft(emphasised.unfold(1, WINDOW, HOP) * window).abs()
    bands = mel_filters(BANDS, WINDOW, LOW, HIGH).to(magnitude) @ magnitude.mT
    decibels = 20 * bands.clamp(min=FLOOR).log10() - REFERENCE
    scaled: Tensor = (decibels + RANGE) / RANGE * 2 * EXTENT - EXTENT
    return scaled.clamp(-EXTENT, EXTENT)
