"""Samples of clips that are drawn anew in every epoch: what all data sets for training share."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

AnyClip = TypeVar("AnyClip")


class EpochDataset(Dataset[dict[str, Any]], Generic[AnyClip]):
    """The same number of samples of each clip.

    Args:
        clips: where samples are taken from. Sample ``index`` is of clip ``index % len(clips)``: neighbours come from
            different clips, so that a batch that is not shuffled still shows many people.
        per_clip: how many samples of each clip make an epoch.
        seed: same seed, same samples.
        fixed: the same samples in every epoch: for judging.
    """

    def __init__(self, clips: Sequence[AnyClip], per_clip: int, seed: int, fixed: bool) -> None:
        self.clips = clips
        self.per_clip = per_clip
        self.seed = seed
        self.fixed = fixed
        # shared memory, so that workers that live through several epochs see the epoch change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw other samples from now on; the same ones for the same epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.clips) * self.per_clip

    def draws(self, index: int, *stream: int) -> np.random.Generator:
        """What a sample of this epoch is drawn from; another stream draws independently."""
        return np.random.default_rng((self.seed, int(self._epoch), index, *stream))

    def spread(self, index: int, first: int, last: int) -> int:
        """A frame from ``first`` to ``last``: the samples of a clip are spread evenly over them."""
        return first + round(index // len(self.clips) * (last - first) / max(self.per_clip - 1, 1))
