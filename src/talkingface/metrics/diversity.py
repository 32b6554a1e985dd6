"""Diversity over seeds: does a generator give one motion for a speech, or many, and are they plausible?"""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError


def seed_diversity(samples: Tensor) -> Tensor:
    """Mean distance between what two seeds made of one clip.

    Args:
        samples: motions or landmarks of S seeds, ``(S, T, …)``; a frame is one vector.

    Returns:
        Float64 scalar: the Euclidean distance of two seeds' frames, mean over frames and over all pairs of seeds.

    Raises:
        ShapeError: fewer than two seeds.

    >>> seed_diversity(torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]]])).item()
    5.0
    """
    if samples.ndim < 2 or len(samples) < 2:
        raise ShapeError(f"samples has shape {tuple(samples.shape)}, expected (S, T, …) of two seeds or more.")
    return torch.stack([_distance(a, b) for a, b in combinations(samples, 2)]).mean()


def energy_score(samples: Tensor, target: Tensor) -> Tensor:
    """Accuracy and diversity in one number: mean distance to the truth, less half the mean distance between seeds.

    A proper score, the many-dimensional CRPS (Gneiting and Raftery 2007, equation 22): no generator does better in
    expectation than one that draws from the true distribution; a single repeated guess and wild noise both lose.

    Args:
        samples: motions or landmarks of S seeds, ``(S, T, …)``.
        target: the true motion, ``(T, …)``.

    Returns:
        Float64 scalar, mean over frames; lower is better. The distance between seeds is over different seeds, which
        leaves no bias by their number; a single clip may score below 0.

    Raises:
        ShapeError: fewer than two seeds, or a target of another shape.
    """
    diversity = seed_diversity(samples)
    check_shape(target, samples.shape[1:], "target")
    return torch.stack([_distance(sample, target) for sample in samples]).mean() - diversity / 2


class _ClipMean(Metric):
    """Mean over clips by sums, so that any split over processes gives the same value."""

    full_state_update = False
    total: Tensor
    clips: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Mean over clips, a float64 scalar; NaN when there were none."""
        return self.total / self.clips

    def _add(self, value: Tensor) -> None:
        self.total += value.to(self.total)
        self.clips += 1


class SeedDiversity(_ClipMean):
    """Mean over clips of :func:`seed_diversity`; updated with the stack of all seeds of one clip.

    >>> metric = SeedDiversity()
    >>> metric.update(torch.zeros(3, 25, 20))
    >>> metric.compute().item()
    0.0
    """

    higher_is_better = None
    convention = "seed-diversity/l2: L2 between seeds per frame, mean over frames, pairs of seeds, clips"

    def update(self, samples: Tensor) -> None:
        """Add one clip, ``(S, T, …)``."""
        self._add(seed_diversity(samples))


class SeedEnergyScore(_ClipMean):
    """Mean over clips of :func:`energy_score`; updated with the stack of all seeds of one clip and its truth."""

    higher_is_better = False
    convention = "energy-score/l2: mean L2 to the truth − ½ mean L2 between different seeds, per frame, frame → clip"

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Add one clip, ``(S, T, …)`` and ``(T, …)``."""
        self._add(energy_score(samples, target))


def _distance(first: Tensor, second: Tensor) -> Tensor:
    lengths: Tensor = (first.double() - second.double()).flatten(1).norm(dim=1)
    return lengths.mean()
