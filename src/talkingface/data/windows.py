"""Windows of encoded clips: what a motion generator is trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from talkingface.data.tracks import ClipTracks


class WindowDataset(Dataset[dict[str, Any]]):
    """Windows of speech and motion with the frame just before them (:class:`~talkingface.core.records.ClipBatch`).

    Args:
        clips: encoded clips, each longer than a window.
        controls: by ``clip_id``, the tracks ``pose`` ``(T, 3)``, ``location`` ``(T,)`` and ``scale`` ``(T,)``.
        frames: length of a window (AniTalker trains on 125).
        windows_per_clip: how many windows of each clip make an epoch.
        seed: same seed, same windows.
        fixed: the same windows in every epoch, spread over the clip: for validation.
    """

    def __init__(
        self,
        clips: Sequence[ClipTracks],
        controls: Mapping[str, Mapping[str, Tensor]],
        frames: int,
        windows_per_clip: int,
        seed: int = 0,
        fixed: bool = False,
    ) -> None:
        self.clips = clips
        self.controls = controls
        self.frames = frames
        self.windows_per_clip = windows_per_clip
        self.seed = seed
        self.fixed = fixed
        # shared memory, so that workers that live through several epochs see the epoch change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._identities = {name: index for index, name in enumerate(sorted({clip.identity for clip in clips}))}

    def set_epoch(self, epoch: int) -> None:
        """Draw other windows from now on; the same ones for the same epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.clips) * self.windows_per_clip

    def __getitem__(self, index: int) -> dict[str, Any]:
        # neighbours come from different clips, so that a batch that is not shuffled still shows many people
        clip = self.clips[index % len(self.clips)]
        first = self._first(index, clip.frames)
        last = first + self.frames
        motion, code = clip.rows(first - 1, last)
        return {
            "motion": motion[1:],
            "features": clip.features(first, last),
            "start_motion": motion[0],
            "portrait": code[0],
            "controls": {name: values[first:last] for name, values in self.controls[clip.clip_id].items()},
            "identity": torch.tensor(self._identities[clip.identity]),
            "clip_id": clip.clip_id,
        }

    def _first(self, index: int, frames: int) -> int:
        """First frame of a window; never 0, for the frame before it is its start."""
        most = frames - self.frames
        if self.fixed:
            return 1 + round(index // len(self.clips) * (most - 1) / max(self.windows_per_clip - 1, 1))
        return int(np.random.default_rng((self.seed, int(self._epoch), index)).integers(1, most + 1))
