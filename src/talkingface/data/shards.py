"""Clips in tar files that are read from front to back: for sets that are larger than the disk beside the GPU.

The files are WebDataset's: ``KEY.mp4``, ``KEY.npz`` and ``KEY.json`` follow each other in ``shard-000000.tar``. That
library is not used: its epochs are as long as a rank's own files, or drawn with repetition; here a seed gives one
order, each rank the same number of steps, and each clip its pairs.
"""

import json
import tarfile
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import MediaBytes, VideoReader
from talkingface.data.pairs import ADJACENT, Clip, PairMaker, drawn_places, fixed_places

INDEX = "shards.json"  # below the root of packed sets
FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """A tar file.

    Attributes:
        path: below the root.
        clips: in it.
        bytes: its size.
    """

    path: str
    clips: int
    bytes: int


@dataclass(frozen=True)
class ShardIndex:
    """What a packed set holds.

    Attributes:
        shards: split → its tar files.
        people: split → names, sorted.
    """

    shards: dict[str, list[Shard]]
    people: dict[str, list[str]]

    def to_json(self) -> str:
        """The text of the index file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, root: str | Path) -> "ShardIndex":
        """Read the index of a packed set.

        Raises:
            MediaError: without one, or one of another format.
        """
        path = Path(root, INDEX)
        if not path.is_file():
            raise MediaError(f"{path} does not exist: {root} holds no shards, or was not finished. talkingface pack")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise MediaError(f"{path} has format {content.get('format')}, this version reads {FORMAT}. Pack it again.")
        shards = {split: [Shard(**one) for one in found] for split, found in content["shards"].items()}
        return cls(shards, content["people"])


@dataclass(frozen=True)
class ShardClip:
    """One clip in memory (a :class:`talkingface.data.pairs.Clip`).

    Attributes:
        clip_id: its key.
        identity: name of the person.
        frames: length on the 25 fps grid.
        video: its file.
    """

    clip_id: str
    identity: str
    frames: int
    video: bytes = field(repr=False)

    def __len__(self) -> int:
        return self.frames

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)``.

        Raises:
            MediaError: when they do not decode.
        """
        with self._reader as reader:  # only the packet table is kept: there are hundreds of clips in memory
            if len(reader) != self.frames:
                raise MediaError(f"{self.clip_id} has {len(reader)} frames, not {self.frames}. Pack the set again.")
            return reader.read(indices)

    def truth(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """No labels."""
        return {}

    @cached_property
    def _reader(self) -> VideoReader:
        return VideoReader(MediaBytes(self.clip_id, self.video))


def read_shard(path: str | Path) -> Iterator[ShardClip]:
    """Clips of a tar file in order; one at a time is in memory.

    Raises:
        MediaError: a missing file, one that is cut off, or is no shard.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                stem, _, kind = member.name.rpartition(".")
                content = tar.extractfile(member)
                if content is None or kind not in ("mp4", "json"):
                    continue
                files[kind] = content.read()
                if kind == "json":  # the last of a clip
                    row = json.loads(files["json"])
                    yield ShardClip(stem, row["identity"], row["frames"], files.pop("mp4"))
                    files.clear()
                    tar.members.clear()  # type: ignore[attr-defined]  # else it keeps one for each file
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path} is no shard that can be read ({error}). Copy or pack it again.") from error


class ShardStream(IterableDataset[dict[str, Any]]):
    """Pairs of the clips in tar files, each file read from front to back by one process.

    For training the files are dealt anew in every epoch to ranks, and a rank's files to its workers, so that a clip
    comes from one process only; a worker draws from a buffer of clips, and a clip leaves it after its pairs. Each rank
    gives the same number of samples: where it has fewer clips than others it begins anew, where more it stops early.
    The order follows from seed, epoch, ranks and workers. To judge, all read all files and share the clips evenly.

    Args:
        root: the packed set.
        split: of it.
        size: side of the pictures, in pixels.
        pairs_per_clip: how many pairs of each clip make an epoch.
        batch_size: samples a step and rank.
        rank, world: this process among all that train.
        seed: same seed, same pairs in the same order.
        fixed: the same pairs in every epoch, see :class:`~talkingface.data.pairs.PairDataset`: for judging.
        buffer: clips that are drawn from, in each worker.
        candidates: add what metric learning compares, from the buffer.

    Raises:
        MediaError: without a packed set.
        ConfigError: a split without clips, or fewer tar files than ranks.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        size: int,
        pairs_per_clip: int,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        fixed: bool = False,
        buffer: int = 256,
        candidates: bool = False,
    ) -> None:
        index = ShardIndex.read(root)
        self.people = index.people[split]
        self._shards = index.shards[split]
        if not self._shards:
            raise ConfigError(f"{root} has no clip in its {split} split. Prepare a set of more people, and pack it.")
        if candidates and len(self.people) < 2:
            raise ConfigError("the data set shows one person, and metric learning needs others. Add clips of them.")
        if not fixed and len(self._shards) < world:
            raise ConfigError(
                f"{root} has {len(self._shards)} shards in its {split} split, fewer than {world} processes. Pack the "
                "set into smaller ones: talkingface pack --megabytes N"
            )
        self.root, self.batch_size, self.per_clip = Path(root), batch_size, pairs_per_clip
        self.rank, self.world, self.seed, self.fixed = rank, world, seed, fixed
        self.buffer, self.candidates = buffer, candidates
        self._maker = PairMaker(size, self.people)
        # shared memory, so that workers that live through several epochs see the epoch change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Deal and draw anew from now on; the same for the same epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Samples of this rank in an epoch."""
        clips = sum(shard.clips for shard in self._shards)
        if self.fixed:
            return len(range(self.rank, clips, self.world)) * self.per_clip
        return clips * self.per_clip // (self.batch_size * self.world) * self.batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return self._in_order(number, workers) if self.fixed else self._drawn(number, workers)

    def _in_order(self, worker: int, workers: int) -> Iterator[dict[str, Any]]:
        """This worker's batches of the rank's pairs, so that the loader gives them in one order for any workers."""
        clips = (clip for shard in self._shards for clip in read_shard(self.root / shard.path))
        mine = (clip for place, clip in enumerate(clips) if place % self.world == self.rank)
        pairs = ((clip, number) for clip in mine for number in range(self.per_clip))
        for place, (clip, number) in enumerate(pairs):
            if place // self.batch_size % workers != worker:
                continue
            try:
                yield self._maker.pair(clip, fixed_places(number, self.per_clip, len(clip)))
            except MediaError as error:
                self._maker.warn_once(clip, error)

    def _drawn(self, worker: int, workers: int) -> Iterator[dict[str, Any]]:
        """This worker's share of the rank's samples, in whole batches."""
        epoch = int(self._epoch)
        dealt = np.random.default_rng((self.seed, epoch)).permutation(len(self._shards))[self.rank :: self.world]
        workers = min(workers, len(dealt))
        if worker >= workers:
            return
        steps = len(range(worker, len(self) // self.batch_size, workers))
        random = np.random.default_rng((self.seed, epoch, self.rank, worker))
        mine = [self._shards[place] for place in dealt[worker::workers]]
        left = steps * self.batch_size
        while left:
            before = left
            recent = deque[ShardClip](maxlen=self.buffer)
            for clip in self._shuffled(mine, random, recent):
                try:
                    pair = self._maker.pair(clip, drawn_places(random, len(clip), ADJACENT))
                    if self.candidates:
                        pair |= self._candidates(clip, recent, random)
                except MediaError as error:  # training must not end for one clip
                    self._maker.warn_once(clip, error)
                    continue
                yield pair
                left -= 1
                if not left:
                    return
            if left == before:
                raise MediaError(f"not one clip of {mine[0].path} and others can be read. Copy or pack them again.")

    def _shuffled(
        self, shards: Sequence[Shard], random: np.random.Generator, recent: deque[ShardClip]
    ) -> Iterator[ShardClip]:
        """Each clip as often as it gives a pair; ``recent`` is filled with what was read last."""
        clips = (clip for shard in shards for clip in read_shard(self.root / shard.path))
        held: list[tuple[ShardClip, int]] = []  # with the pairs that each has left
        while True:
            while len(held) < self.buffer and (fresh := next(clips, None)) is not None:
                held.append((fresh, self.per_clip))
                recent.append(fresh)
            if not held:
                return
            place = int(random.integers(len(held)))
            clip, left = held[place]
            yield clip
            if left > 1:
                held[place] = clip, left - 1
            else:
                held[place] = held[-1]
                held.pop()

    def _candidates(self, clip: ShardClip, recent: deque[ShardClip], random: np.random.Generator) -> dict[str, Tensor]:
        clips_of: dict[str, list[Clip]] = defaultdict(list)
        for other in (clip, *(other for other in recent if other is not clip)):
            clips_of[other.identity].append(other)
        if len(clips_of) < 2:
            raise ConfigError(
                f"the last {len(recent)} clips of a worker show one person, and metric learning needs others. Raise "
                "buffer, lower workers, or pack the set into larger shards."
            )
        return self._maker.candidates(clip, clips_of, random)
