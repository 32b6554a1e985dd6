"""MFCC and their differences as speech features, as AniTalker's MFCC variants were trained on them."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.audio.speech_encoder import SAMPLES, SpeechEncoder
from talkingface.core.mfcc import COEFFICIENTS, mfcc


def delta(coefficients: Tensor, reach: int) -> Tensor:
    """Slope over ``2 reach + 1`` rows by least squares; the first and last row are repeated beyond the ends.

    Args:
        coefficients: ``(N, C)``.
        reach: rows on either side.

    Returns:
        Change a row, ``(N, C)``.

    >>> delta(torch.tensor([[0.0], [1.0], [2.0]]), 1).flatten().tolist()
    [0.5, 1.0, 0.5]
    """
    offsets = torch.arange(-reach, reach + 1, dtype=coefficients.dtype)
    padded = functional.pad(coefficients.T[None], (reach, reach), mode="replicate")[0]
    return (padded.unfold(1, 2 * reach + 1, 1) @ offsets / offsets.square().sum()).T


class MFCCSpeech(SpeechEncoder):
    """13 MFCC with two slopes of them, 39 numbers at 100 Hz, thinned to 25 Hz (AniTalker's released MFCC variants).

    Both slopes are of the coefficients themselves, over three and over five rows; the second is no slope of a slope.
    The samples are taken in ``[-1, 1]`` as the released code has them, not on the scale of 16 bits that SyncNet wants.

    Args:
        dim: width of the condition.
        blocks: of the Conformer; none in the released variants.
        heads: of its attention.
        dropout: of the Conformer.
    """

    window = 10.08
    context = 0.04
    convention = (
        "mfcc/psf-39: python_speech_features 0.6 defaults on samples in [-1, 1], 13 coefficients, delta over 1 and "
        "over 2 rows of them, the last row repeated once, float32"
    )

    def __init__(self, *, dim: int = 512, blocks: int = 0, heads: int = 2, dropout: float = 0.2) -> None:
        super().__init__(
            rate=100, layers=1, channels=3 * COEFFICIENTS, dim=dim, blocks=blocks, heads=heads, dropout=dropout
        )

    def encode(self, sound: Tensor) -> Tensor:
        """``(B, 640 T)`` → ``(B, 1, 4 T, 39)``; computed on the CPU in float64."""
        return torch.stack([_rows(wave) for wave in sound.cpu()]).to(sound)[:, None]


def _rows(wave: Tensor) -> Tensor:
    static = mfcc(wave)
    rows = torch.cat([static, delta(static, 1), delta(static, 2)], dim=1)
    return torch.cat([rows, rows[-1:]])[: 4 * len(wave) // SAMPLES]  # 4 T - 1 of them fit into T frames
