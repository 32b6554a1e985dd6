"""Windows of encoded clips: what a motion generator is trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from talkingface.data.epochs import EpochDataset
from talkingface.data.tracks import ClipTracks


class WindowDataset(EpochDataset[ClipTracks]):
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
        super().__init__(clips, windows_per_clip, seed, fixed)
        self.controls = controls
        self.frames = frames
        self._identities = {name: index for index, name in enumerate(sorted({clip.identity for clip in clips}))}

    def __getitem__(self, index: int) -> dict[str, Any]:
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
            return self.spread(index, 1, most)
        return int(self.draws(index).integers(1, most + 1))
