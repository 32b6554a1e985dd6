"""Pairs of frames of one clip: what a motion representation is trained on (AniTalker, section 3.2)."""

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.images import center_square, resize, to_float
from talkingface.data.augment import augment
from talkingface.data.epochs import EpochDataset

Item = TypeVar("Item")


class Clip(Protocol):
    """A clip that frames can be taken from at random."""

    @property
    def clip_id(self) -> str:
        """Name of the clip, unique in its data set."""

    @property
    def identity(self) -> str:
        """Name of the person."""

    def __len__(self) -> int:
        """Number of frames on the 25 fps grid."""

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)``."""

    def truth(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Labels of these frames where the clip has any, each ``(n, ...)``."""


class PairDataset(EpochDataset[Clip]):
    """Source and driving frame of one clip, without augmentation, so that only motion differs (supplement, 2.1).

    Args:
        clips: where to take frames from.
        size: side of the pictures, in pixels; other frames are centre-cropped and resized.
        pairs_per_clip: how many pairs of each clip make an epoch.
        seed: same seed, same pairs.
        adjacent: share of the pairs that are neighbours in time (the paper trains on adjacent and distant frames).
        fixed: the same pairs in every epoch, with frame 0 as source and driving frames spread over the clip: for
            validation.
        candidates: add what metric learning compares: ``positive``, the same person (in another clip where there is
            one), and ``negative``, another person, both augmented. They leave the pair itself as it is.

    Raises:
        ConfigError: for candidates of a data set that shows one person only.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        size: int,
        pairs_per_clip: int,
        seed: int = 0,
        adjacent: float = 0.1,
        fixed: bool = False,
        candidates: bool = False,
    ) -> None:
        super().__init__(clips, pairs_per_clip, seed, fixed)
        self.size = size
        self.adjacent = adjacent
        self.candidates = candidates
        self._broken: set[str] = set()  # known to this process
        self._identities = {name: index for index, name in enumerate(sorted({clip.identity for clip in clips}))}
        self._clips_of: dict[str, list[Clip]] = {name: [] for name in self._identities}
        for clip in clips:
            self._clips_of[clip.identity].append(clip)
        if candidates and len(self._identities) < 2:
            raise ConfigError("the data set shows one person, and metric learning needs others. Add clips of them.")

    def __getitem__(self, index: int) -> dict[str, Any]:
        for step in range(len(self.clips)):
            clip = self.clips[(index + step) % len(self.clips)]
            chosen = self._choose(index, len(clip))
            try:
                pixels = to_float(center_square(clip.read(chosen)))
                break
            except MediaError as error:  # hours of training must not end for one file that broke since it was scanned
                self._warn_once(clip.clip_id, error)
        else:
            raise MediaError("not one clip of the data set can be read any more. Check the disk it lies on.")
        source, driving = resize(pixels, self.size)
        return {
            "source": source,
            "driving": driving,
            "identity": torch.tensor(self._identities[clip.identity]),
            "clip_id": clip.clip_id,
            **clip.truth(chosen),
            **(self._candidates(index, clip) if self.candidates else {}),
        }

    def _candidates(self, index: int, clip: Clip) -> dict[str, Tensor]:
        """The anchor's person, in another clip where there is one, and somebody else, everybody equally often."""
        random = self.draws(index, 1)  # not the stream that draws the pair
        same = [other for other in self._clips_of[clip.identity] if other is not clip]
        positive, _ = self._candidate(itertools.chain(_shuffled(same, random), [clip]), random)
        strangers = (name for name in _shuffled(list(self._identities), random) if name != clip.identity)
        theirs = (other for name in strangers for other in _shuffled(self._clips_of[name], random))
        negative, name = self._candidate(theirs, random)
        return {"positive": positive, "negative": negative, "negative_identity": torch.tensor(self._identities[name])}

    def _candidate(self, clips: Iterable[Clip], random: np.random.Generator) -> tuple[Tensor, str]:
        """A frame of the first clip that can still be read, augmented, and whom it shows."""
        for clip in clips:
            try:
                pixels = to_float(center_square(clip.read([int(random.integers(len(clip)))])))
            except MediaError as error:
                self._warn_once(clip.clip_id, error)
                continue
            return augment(resize(pixels, self.size)[0], random), clip.identity
        raise MediaError("not one candidate for metric learning can be read any more. Check the disk the clips lie on.")

    def _warn_once(self, clip_id: str, error: MediaError) -> None:
        if clip_id not in self._broken:
            self._broken.add(clip_id)
            warnings.warn(f"{error} Another clip takes its place.", stacklevel=2)

    def _choose(self, index: int, frames: int) -> tuple[int, int]:
        """Indices of the source and of the driving frame."""
        if self.fixed:
            nth = index // len(self.clips) + 1
            return 0, round(nth * (frames - 1) / self.per_clip)
        random = self.draws(index)
        source = int(random.integers(frames))
        if random.random() < self.adjacent:
            return source, source + 1 if source + 1 < frames else max(source - 1, 0)
        return source, int(random.integers(frames))


def _shuffled(items: Sequence[Item], random: np.random.Generator) -> Iterator[Item]:
    return (items[place] for place in random.permutation(len(items)))
