"""Lightning data modules: loaders of frame pairs for training, and of fixed pairs of unseen people for judging."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, DistributedSampler

from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import ControlReader
from talkingface.data.epochs import EpochDataset
from talkingface.data.folder import ClipFile, scan_folder
from talkingface.data.labels import labelled
from talkingface.data.pairs import Clip, PairDataset
from talkingface.data.rendered import RenderedSet, Split, render_set
from talkingface.data.synthetic import Staging

Loader = DataLoader[dict[str, Any]]


class EpochSampler(DistributedSampler[Any]):
    """Order of an epoch: the same for one process and for many, so that two processes see what one would.

    It is a ``DistributedSampler`` also in one process; Lightning then leaves it alone and tells it the epoch, which is
    what makes a resumed run see the pairs that an uninterrupted one would have seen.
    """

    dataset: EpochDataset[Any]

    def __iter__(self) -> Iterator[Any]:
        """Shuffled and cut to equal shares for training; in order and complete for judging."""
        return super().__iter__() if self.shuffle else iter(range(self.rank, len(self.dataset), self.num_replicas))

    def __len__(self) -> int:
        """Pairs of this process; judging counts every pair once, so shares may differ by one."""
        return super().__len__() if self.shuffle else len(range(self.rank, len(self.dataset), self.num_replicas))

    def set_epoch(self, epoch: int) -> None:
        """Shuffle anew and let the data set draw new pairs."""
        super().set_epoch(epoch)
        self.dataset.set_epoch(epoch)


class EpochModule(L.LightningDataModule):
    """Base of the data modules whose data sets draw anew in every epoch.

    Args:
        size: side of the pictures, in pixels.
        batch_size: samples a step and process.
        workers: loading processes.
        seed: of the samples and of their order.
    """

    def __init__(self, size: int, batch_size: int, workers: int, seed: int) -> None:
        super().__init__()
        self.size = size
        self.batch_size = batch_size
        self.workers = workers
        self.seed = seed

    def _loader(self, samples: EpochDataset[Any], name: str) -> Loader:
        """Shuffled unless fixed; ``name`` is what users know the samples by."""
        fixed = samples.fixed
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        if not fixed and len(samples) < self.batch_size * world:
            raise ConfigError(
                f"an epoch has {len(samples)} {name}, fewer than one step of {self.batch_size} x {world} processes. "
                f"Raise {name}_per_clip or lower batch_size."
            )
        return DataLoader(
            samples,
            batch_size=self.batch_size,
            sampler=EpochSampler(samples, world, rank, shuffle=not fixed, seed=self.seed, drop_last=not fixed),
            num_workers=self.workers,
            drop_last=not fixed,
            persistent_workers=self.workers > 0,
        )


class WindowModule(EpochModule):
    """Base of the data modules that serve windows of clips.

    Args:
        size: side of the pictures, in pixels.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip, spread over the clip.
        workers: loading processes.
        seed: of the windows and of their order.
    """

    def __init__(
        self, size: int, batch_size: int, windows_per_clip: int, val_windows_per_clip: int, workers: int, seed: int
    ) -> None:
        super().__init__(size, batch_size, workers, seed)
        self.windows_per_clip = windows_per_clip
        self.val_windows_per_clip = val_windows_per_clip

    def windows(self, split: Split, windows_per_clip: int, fixed: bool) -> EpochDataset[Any]:
        """The windows of one split."""
        raise NotImplementedError

    def train_dataloader(self) -> Loader:
        """Fresh windows in every epoch."""
        return self._loader(self.windows("train", self.windows_per_clip, fixed=False), "windows")

    def val_dataloader(self) -> Loader:
        """Fixed windows of people that are not trained on."""
        return self._loader(self.windows("val", self.val_windows_per_clip, fixed=True), "windows")

    def test_dataloader(self) -> Loader:
        """Fixed windows of people kept for the last look."""
        return self._loader(self.windows("test", self.val_windows_per_clip, fixed=True), "windows")


class PairModule(EpochModule):
    """Base of the data modules that serve :class:`~talkingface.core.records.PairBatch`.

    Args:
        size: side of the pictures, in pixels.
        batch_size: pairs a step and process.
        pairs_per_clip: pairs drawn from each training clip in an epoch.
        val_pairs_per_clip: fixed pairs of each unseen clip, frame 0 → frames spread over the clip.
        workers: loading processes.
        seed: of the pairs and of their order.
        candidates: give the training pairs candidates for metric learning, see :class:`PairDataset`.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        pairs_per_clip: int,
        val_pairs_per_clip: int,
        workers: int,
        seed: int,
        candidates: bool,
    ) -> None:
        super().__init__(size, batch_size, workers, seed)
        self.pairs_per_clip = pairs_per_clip
        self.val_pairs_per_clip = val_pairs_per_clip
        self.candidates = candidates

    def clips(self, split: Split) -> Sequence[Clip]:
        """The clips of one split."""
        raise NotImplementedError

    @property
    def people(self) -> int:
        """How many people the training split shows: their numbers in a batch are below it."""
        return len({clip.identity for clip in self.clips("train")})

    def train_dataloader(self) -> Loader:
        """Fresh pairs in every epoch."""
        clips = self._clips_or_error("train")
        pairs = PairDataset(clips, self.size, self.pairs_per_clip, self.seed, candidates=self.candidates)
        return self._loader(pairs, "pairs")

    def val_dataloader(self) -> Loader:
        """Fixed pairs of people that are not trained on."""
        return self._fixed("val")

    def test_dataloader(self) -> Loader:
        """Fixed pairs of people kept for the last look."""
        return self._fixed("test")

    def predict_dataloader(self) -> Loader:
        """The pairs of the test."""
        return self._fixed("test")

    def _fixed(self, split: Split) -> Loader:
        pairs = PairDataset(self._clips_or_error(split), self.size, self.val_pairs_per_clip, self.seed, fixed=True)
        return self._loader(pairs, "pairs")

    def _clips_or_error(self, split: Split) -> Sequence[Clip]:
        clips = self.clips(split)
        if not clips:
            raise ConfigError(f"the data set has no clip in its {split} split. Give more identities, or a manifest.")
        return clips


class SyntheticPairs(PairModule):
    """Pairs of the synthetic talking heads, split by identity; every frame comes with its ground truth.

    Args:
        size: side of the pictures, in pixels.
        identities: people in the whole set: 80 % train, 10 % val, 10 % test.
        clips_per_identity: clips of each.
        frames: length of a clip, at 25 fps.
        batch_size: pairs a step and process.
        pairs_per_clip: pairs drawn from each training clip in an epoch.
        val_pairs_per_clip: fixed pairs of each unseen clip.
        workers: loading processes; rendering uses one per processor.
        seed: of people, clips, pairs and their order.
        candidates: give the training pairs candidates for metric learning.
        framing: share of the frame that is shown; 1 is head and shoulders, 0.55 a face crop.
        liveliness: factor on how far heads move; a third is as in real clips, see :class:`Staging`.
    """

    def __init__(
        self,
        size: int = 128,
        identities: int = 50,
        clips_per_identity: int = 4,
        frames: int = 50,
        batch_size: int = 16,
        pairs_per_clip: int = 16,
        val_pairs_per_clip: int = 8,
        workers: int = 0,
        seed: int = 0,
        candidates: bool = False,
        framing: float = 1.0,
        liveliness: float = 1.0,
    ) -> None:
        super().__init__(size, batch_size, pairs_per_clip, val_pairs_per_clip, workers, seed, candidates)
        self.identities = identities
        self.clips_per_identity = clips_per_identity
        self.frames = frames
        self.staging = Staging(framing, liveliness)

    def prepare_data(self) -> None:
        """Render what was not rendered before."""
        for split in ("train", "val", "test"):
            self.clips(split)

    def clips(self, split: Split) -> Sequence[Clip]:
        """The clips of one split."""
        people, clips = self.identities, self.clips_per_identity
        wanted = RenderedSet(split, people, clips, self.frames, self.size, self.seed, staging=self.staging)
        return render_set(wanted, processes=os.cpu_count() or 1)


class FolderPairs(PairModule):
    """Pairs of real clips in a folder, split by identity.

    Args:
        root: folder of videos: ``root/IDENTITY/*.mp4``, or flat.
        manifest: CSV with ``path, identity, split``; paths are relative to it.
        controls: reads landmarks and head pose, for keypoint losses; without one the pairs have none.
        size: side of the pictures, in pixels.
        batch_size: pairs a step and process.
        pairs_per_clip: pairs drawn from each training clip in an epoch.
        val_pairs_per_clip: fixed pairs of each unseen clip.
        workers: loading processes.
        seed: of the split where the manifest has none, of the pairs and of their order.
        candidates: give the training pairs candidates for metric learning.
    """

    def __init__(
        self,
        root: Path,
        manifest: Path | None = None,
        controls: ControlReader | None = None,
        size: int = 256,
        batch_size: int = 8,
        pairs_per_clip: int = 16,
        val_pairs_per_clip: int = 8,
        workers: int = 2,
        seed: int = 0,
        candidates: bool = False,
    ) -> None:
        super().__init__(size, batch_size, pairs_per_clip, val_pairs_per_clip, workers, seed, candidates)
        self.root = root
        self.manifest = manifest
        self.controls = controls
        self._found: list[ClipFile] | None = None

    def prepare_data(self) -> None:
        """Look at every clip, in one process of each machine: readers keep what they saw in pictures."""
        self.clips("train")

    def clips(self, split: Split) -> Sequence[Clip]:
        """The clips of one split; files that do not decode, or cannot be labelled, were named and left out."""
        if self._found is None:
            found, summary = scan_folder(self.root, self.manifest, seed=self.seed)
            rank_zero_info(str(summary))
            self._found = found if self.controls is None else labelled(found, self.controls)
        return [clip for clip in self._found if clip.split == split]
