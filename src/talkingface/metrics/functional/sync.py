"""How far lips and speech lie apart in SyncNet's space, over shifts of ±15 frames: LSE-D, LSE-C and the offset."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError
from talkingface.metrics.functional.tracking import median_filter

SHIFTS = 15  # frames either way
EPSILON = 1e-6  # that torch's pairwise_distance adds to each component of a difference
SMOOTHING = 9  # windows of the median filter over the confidence
BLOCK = 64  # windows compared together, 16 MB of differences


@dataclass(frozen=True)
class LipSync:
    """Distances of a clip over all shifts, and what is read from them.

    Args:
        distances: float64 ``(T, 2 V + 1)``; column k compares lips i with speech ``i + k - V``, and holds NaN where
            such speech is not to be counted.
    """

    distances: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean distance at each shift, m(k), ``(2 V + 1,)``; NaN where no window counts."""
        return self.distances.nanmean(0)

    @property
    def best(self) -> int:
        """Column of the least mean distance."""
        return int(self.mean.argmin())

    @property
    def distance(self) -> float:
        """LSE-D: the least mean distance."""
        return float(self.mean.min())

    @property
    def confidence(self) -> float:
        """LSE-C: median of the mean distances minus the least."""
        return float(self.mean.median()) - self.distance

    @property
    def offset(self) -> int:
        """Frames by which the audio leads: positive where it is early and must be delayed by offset / 25 s."""
        return self.distances.shape[1] // 2 - self.best

    @property
    def best_distances(self) -> Tensor:
        """Distance of each window at the best shift, ``(T,)``; their mean is LSE-D."""
        return self.distances[:, self.best]

    @property
    def unshifted_distances(self) -> Tensor:
        """Distance of each window without a shift, ``(T,)``; a constant delay shows here and not in LSE-D."""
        return self.distances[:, self.distances.shape[1] // 2]

    @property
    def confidences(self) -> Tensor:
        """Confidence of each window, ``(T,)``; their mean is LSE-C."""
        return self.mean.median() - self.best_distances

    @property
    def smooth_confidences(self) -> Tensor:
        """Confidence of each window behind a median filter of nine windows, as the published program prints it."""
        return median_filter(self.confidences, SMOOTHING)


def lip_sync(lips: Tensor, speech: Tensor, shifts: int = SHIFTS, valid_only: bool = False) -> LipSync:
    """Compare embeddings of lips with those of speech at every shift.

    As published, speech before the first and after the last window counts as zero vectors. That makes LSE-C depend on
    the length of the clip: up to 20 for half a second without any synchrony.

    Args:
        lips: ``(T, D)``.
        speech: ``(T, D)``.
        shifts: greatest shift, in frames, either way.
        valid_only: count only pairs of which both sides exist.

    Raises:
        ShapeError: two shapes, or no windows.
    """
    check_shape(speech, tuple(lips.shape), "speech")
    if len(lips) == 0:
        raise ShapeError("there are no windows of lips and speech to compare.")
    padded = functional.pad(speech, (0, 0, shifts, shifts))
    width, count = 2 * shifts + 1, len(lips)
    blocks = []
    for start in range(0, count, BLOCK):
        mine = lips[start : start + BLOCK].double()[:, None]
        heard = padded[start : start + len(mine) + width - 1].double().unfold(0, width, 1).mT
        blocks.append((mine - heard + EPSILON).norm(dim=-1))
    distances = torch.cat(blocks)
    if valid_only:
        partner = torch.arange(count)[:, None] + torch.arange(-shifts, shifts + 1)
        distances = distances.masked_fill((partner < 0) | (partner >= count), torch.nan)
    return LipSync(distances)
