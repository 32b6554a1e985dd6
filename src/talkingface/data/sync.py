"""Faces with the sound of the same fifth of a second, and of another one: what a sync expert is trained on."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.images import center_square, resize, to_float
from talkingface.core.sync_window import FRAMES, SAMPLES, first_sample
from talkingface.data.epochs import EpochDataset
from talkingface.data.pairs import Clip
from talkingface.data.tracks import SpokenClip

REACH = 15  # frames: how far sound is moved when an expert is judged, as SyncNet's published evaluation moves it
SHORTEST = 2 * REACH + FRAMES + 1  # frames of a clip, so that a window has sound at every offset


class SeenAndHeard(Clip, SpokenClip, Hashable, Protocol):
    """A clip with sound that frames can be taken from at random."""


@lru_cache(maxsize=16)  # in each process; decoding the sound of a file costs more than a window of its frames
def wave_of(clip: SeenAndHeard) -> NDArray[np.float32]:
    """The sound of a clip, kept for a while."""
    return clip.wave()


def sound_of(wave: Tensor, frame: int) -> Tensor:
    """The sound of the window that begins at a frame.

    Args:
        wave: of the clip, 16 kHz ``(S,)``.
        frame: the first of the window.

    Returns:
        ``(3801,)``, silent beyond the ends of the clip.
    """
    places = torch.arange(SAMPLES) + first_sample(frame)
    inside = (places >= 0) & (places < len(wave))
    return torch.where(inside, wave[places.clamp(0, len(wave) - 1)], 0.0)


class SyncDataset(EpochDataset[SeenAndHeard]):
    """Windows of clips (:class:`~talkingface.core.records.SyncBatch`; fixed, ``SyncSweepBatch``).

    Positive and negative share their frames. The negative's sound is of the same clip, so that neither voice nor room
    tells them apart (Wav2Lip, section 3.1).

    Args:
        clips: with sound, each of :data:`SHORTEST` frames or more.
        size: side of the pictures, in pixels; the middle square of a frame is taken.
        windows_per_clip: how many windows of each clip make an epoch.
        seed: same seed, same windows.
        fixed: the same windows in every epoch, spread over the clip, with the sound of every offset: for judging.
    """

    def __init__(
        self, clips: Sequence[SeenAndHeard], size: int, windows_per_clip: int, seed: int = 0, fixed: bool = False
    ) -> None:
        super().__init__(clips, windows_per_clip, seed, fixed)
        self.size = size

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = self.clips[index % len(self.clips)]
        wave = torch.from_numpy(wave_of(clip))
        frame, other = self._choose(index, len(clip))
        item: dict[str, Any] = {"frames": self._faces(clip, frame), "clip_id": clip.clip_id}
        if self.fixed:
            return item | {"sweep": torch.stack([sound_of(wave, frame + by) for by in range(-REACH, REACH + 1)])}
        return item | {"sound": sound_of(wave, frame), "other": sound_of(wave, other)}

    def _faces(self, clip: SeenAndHeard, first: int) -> Tensor:
        return resize(to_float(center_square(clip.read(range(first, first + FRAMES)))), self.size)

    def _choose(self, index: int, frames: int) -> tuple[int, int]:
        """First frames of the window and of the sound that does not belong to it."""
        if self.fixed:
            frame = self.spread(index, REACH, frames - FRAMES - REACH)
            return frame, frame
        frame, other = self.draws(index).choice(frames - FRAMES + 1, size=2, replace=False)
        return int(frame), int(other)
