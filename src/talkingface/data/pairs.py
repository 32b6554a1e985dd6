"""Pairs of frames of one clip: what a motion representation is trained on (AniTalker, section 3.2)."""

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.images import center_square, resize, to_float
from talkingface.data.augment import augment
from talkingface.data.epochs import EpochDataset

ADJACENT = 0.1  # share of the pairs that are neighbours in time; the paper trains on adjacent and distant frames
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
        adjacent: share of the pairs that are neighbours in time.
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
        adjacent: float = ADJACENT,
        fixed: bool = False,
        candidates: bool = False,
    ) -> None:
        super().__init__(clips, pairs_per_clip, seed, fixed)
        self.adjacent = adjacent
        self.candidates = candidates
        self._clips_of: dict[str, list[Clip]] = {name: [] for name in sorted({clip.identity for clip in clips})}
        for clip in clips:
            self._clips_of[clip.identity].append(clip)
        self._maker = PairMaker(size, self._clips_of)
        if candidates and len(self._clips_of) < 2:
            raise ConfigError("the data set shows one person, and metric learning needs others. Add clips of them.")

    def __getitem__(self, index: int) -> dict[str, Any]:
        for step in range(len(self.clips)):
            clip = self.clips[(index + step) % len(self.clips)]
            try:
                pair = self._maker.pair(clip, self._choose(index, len(clip)))
                break
            except MediaError as error:  # hours of training must not end for one file that broke since it was scanned
                self._maker.warn_once(clip, error)
        else:
            raise MediaError("not one clip of the data set can be read any more. Check the disk it lies on.")
        if self.candidates:
            # not the stream that draws the pair
            pair |= self._maker.candidates(clip, self._clips_of, self.draws(index, 1))
        return pair

    def _choose(self, index: int, frames: int) -> tuple[int, int]:
        """Indices of the source and of the driving frame."""
        if self.fixed:
            return fixed_places(index // len(self.clips), self.per_clip, frames)
        return drawn_places(self.draws(index), frames, self.adjacent)


class PairMaker:
    """Makes pairs of clips, wherever these come from.

    Args:
        size: side of the pictures, in pixels.
        identities: names of all people; a batch has their places in the sorted list.
    """

    def __init__(self, size: int, identities: Iterable[str]) -> None:
        self.size = size
        self._numbers = {name: index for index, name in enumerate(sorted(set(identities)))}
        self._broken: set[str] = set()  # known to this process

    def pair(self, clip: Clip, places: tuple[int, int]) -> dict[str, Any]:
        """One sample of a :class:`~talkingface.core.records.PairBatch`.

        Args:
            clip: where it comes from.
            places: indices of the source and of the driving frame.

        Raises:
            MediaError: when the clip cannot be read.
        """
        source, driving = resize(to_float(center_square(clip.read(places))), self.size)
        return {
            "source": source,
            "driving": driving,
            "identity": torch.tensor(self._numbers[clip.identity]),
            "clip_id": clip.clip_id,
            **clip.truth(places),
        }

    def candidates(
        self, clip: Clip, clips_of: Mapping[str, Sequence[Clip]], random: np.random.Generator
    ) -> dict[str, Tensor]:
        """The anchor's person, in another clip where there is one, and somebody else, everybody equally often.

        Args:
            clip: the anchor.
            clips_of: person → clips to choose from, the anchor among them.
            random: what is drawn from.
        """
        same = [other for other in clips_of[clip.identity] if other is not clip]
        positive, _ = self._candidate(itertools.chain(_shuffled(same, random), [clip]), random)
        strangers = (name for name in _shuffled(list(clips_of), random) if name != clip.identity)
        theirs = (other for name in strangers for other in _shuffled(clips_of[name], random))
        negative, name = self._candidate(theirs, random)
        return {"positive": positive, "negative": negative, "negative_identity": torch.tensor(self._numbers[name])}

    def _candidate(self, clips: Iterable[Clip], random: np.random.Generator) -> tuple[Tensor, str]:
        """A frame of the first clip that can still be read, augmented, and whom it shows."""
        for clip in clips:
            try:
                pixels = to_float(center_square(clip.read([int(random.integers(len(clip)))])))
            except MediaError as error:
                self.warn_once(clip, error)
                continue
            return augment(resize(pixels, self.size)[0], random), clip.identity
        raise MediaError("not one candidate for metric learning can be read any more. Check the disk the clips lie on.")

    def warn_once(self, clip: Clip, error: MediaError) -> None:
        """Say that another clip takes the place of one that broke."""
        if clip.clip_id not in self._broken:
            self._broken.add(clip.clip_id)
            warnings.warn(f"{error} Another clip takes its place.", stacklevel=2)


def fixed_places(number: int, count: int, frames: int) -> tuple[int, int]:
    """Frame 0, and driving frames spread over the clip.

    >>> [fixed_places(number, 2, 21) for number in range(2)]
    [(0, 10), (0, 20)]
    """
    return 0, round((number + 1) * (frames - 1) / count)


def drawn_places(random: np.random.Generator, frames: int, adjacent: float) -> tuple[int, int]:
    """Indices of a source and of a driving frame.

    Args:
        random: what is drawn from.
        frames: of the clip.
        adjacent: share of the pairs that are neighbours.
    """
    source = int(random.integers(frames))
    if random.random() < adjacent:
        return source, source + 1 if source + 1 < frames else max(source - 1, 0)
    return source, int(random.integers(frames))


def _shuffled(items: Sequence[Item], random: np.random.Generator) -> Iterator[Item]:
    return (items[place] for place in random.permutation(len(items)))
