"""Loudness of speech per video frame, and how lips follow it."""

import math

import torch
from torch import Tensor

from talkingface.core.checks import check_shape

RATE = 16_000  # samples a second
SILENCE = 0.3  # seconds; shorter gaps are part of speech
QUIET = 25.0  # dB below the clip's loudest frame; noise under real speech is seldom more than 30 dB below it
INAUDIBLE = 1e-3  # RMS of -60 dB full scale; quieter frames are silent in any clip
NARROW = 1e-8  # THEval's guard in its min-max scaling


def loudness(audio: Tensor, frames: int, fps: float = 25.0) -> Tensor:
    """Root mean square of the samples that sound while each frame is shown.

    Args:
        audio: 16 kHz mono, ``(S,)`` in ``[-1, 1]``; missing samples at the end are silent.
        frames: how many.
        fps: frames a second.

    Returns:
        ``(frames,)`` float64.

    >>> loudness(torch.ones(1280), 3).tolist()
    [1.0, 1.0, 0.0]
    """
    check_shape(audio, ("S",), "audio")
    edges = [round(i * RATE / fps) for i in range(frames + 1)]
    padded = torch.nn.functional.pad(audio.double(), (0, max(0, edges[-1] - len(audio))))
    energy = torch.cat((torch.zeros(1, dtype=torch.float64, device=audio.device), padded.square().cumsum(0)))
    at = torch.tensor(edges, device=audio.device)
    return ((energy[at[1:]] - energy[at[:-1]]).clamp_min(0) / (at[1:] - at[:-1])).sqrt()


def silences(level: Tensor, fps: float = 25.0) -> list[slice]:
    """Pauses of at least 0.3 s: frames 25 dB quieter than the clip's loudest one, or below −60 dB full scale.

    Args:
        level: loudness per frame, ``(T,)``.
        fps: frames a second.

    Returns:
        Runs of frames, in order.

    >>> silences(torch.tensor([1.0] * 3 + [0.0] * 9 + [1.0]))
    [slice(3, 12, None)]
    """
    quiet = (level < level.max() * 10 ** (-QUIET / 20)) | (level < INAUDIBLE)
    edges = torch.cat((quiet.new_zeros(1), quiet, quiet.new_zeros(1))).int().diff().nonzero()[:, 0].reshape(-1, 2)
    shortest = math.ceil(SILENCE * fps - 1e-9)
    return [slice(start, end) for start, end in edges.tolist() if end - start >= shortest]


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation; ``(T,)`` twice → float64 scalar, NaN where one of them is constant."""
    check_shape(second, first.shape, "second")
    if any(len(values) == 0 or values.max() == values.min() for values in (first, second)):
        return torch.tensor(torch.nan, dtype=torch.float64)  # rounding of the mean would correlate with itself
    a, b = first.double() - first.double().mean(), second.double() - second.double().mean()
    coefficient: Tensor = (a * b).sum() / (a.norm() * b.norm())
    return coefficient


def best_lag(lips: Tensor, level: Tensor, most: int = 10) -> int:
    """By how many frames the lips follow the sound: where their cross-correlation is highest.

    It is not divided by the overlap, so that of equally good shifts of a regular rhythm the smallest wins.

    Args:
        lips, level: ``(T,)``, longer than ``most`` frames.
        most: the largest shift that is tried, both ways.

    Returns:
        Positive where the lips are late.

    >>> level = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    >>> best_lag(level.roll(2), level, most=3)
    2
    """
    check_shape(level, lips.shape, "level")
    a, b = lips.double() - lips.double().mean(), level.double() - level.double().mean()

    def product(lag: int) -> float:
        late, early = max(lag, 0), max(-lag, 0)
        return float((a[late : len(a) - early] * b[early : len(b) - late]).sum())

    return max(range(-most, most + 1), key=lambda lag: (product(lag), -abs(lag)))


def scaled_difference(opening: Tensor, level: Tensor) -> Tensor:
    """THEval's lip-sync error: mean absolute difference of lip opening and loudness, each scaled to [0, 1].

    Args:
        opening: of the lips, ``(T,)``, in speech.
        level: loudness of the same frames, ``(T,)``.

    Returns:
        Float64 scalar in [0, 1].
    """

    def scaled(values: Tensor) -> Tensor:
        values = values.double()
        return (values - values.min()) / (values.max() - values.min() + NARROW)

    return (scaled(opening) - scaled(level)).abs().mean()


def silent_lip_deviations(opening: Tensor) -> Tensor:
    """Movement of lips that should rest: |opening − mean| in one silence, whose median THEval reports.

    Args:
        opening: of the lips over the interocular distance, ``(T,)``; NaN frames are left out.

    Returns:
        ``(T,)`` float64.
    """
    return (opening.double() - opening.double().nanmean()).abs()
