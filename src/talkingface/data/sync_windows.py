"""Lightning data modules of faces and their sound, for training an expert of lip synchrony."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from torch.utils.data import DataLoader

from talkingface.core.errors import ConfigError
from talkingface.data.clips import spoken_clips
from talkingface.data.folder import ClipFile
from talkingface.data.modules import EpochSampler
from talkingface.data.rendered import RenderedSet, Split, render_set
from talkingface.data.sync import SHORTEST, SeenAndHeard, SyncDataset

Loader = DataLoader[dict[str, Any]]


class SyncModule(L.LightningDataModule):
    """Base of the data modules that serve :class:`~talkingface.core.records.SyncBatch`.

    Args:
        size: side of the pictures, in pixels; the mouth is to lie in their lower half.
        batch_size: windows a step and process; each counts once with its sound and once with another.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip, spread over the clip.
        workers: loading processes.
        seed: of the windows and of their order.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        windows_per_clip: int,
        val_windows_per_clip: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.batch_size = batch_size
        self.windows_per_clip = windows_per_clip
        self.val_windows_per_clip = val_windows_per_clip
        self.workers = workers
        self.seed = seed

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split that have sound."""
        raise NotImplementedError

    def train_dataloader(self) -> Loader:
        """Fresh windows in every epoch."""
        return self._loader("train", self.windows_per_clip, fixed=False)

    def val_dataloader(self) -> Loader:
        """Fixed windows of people that are not trained on, with the sound of every offset."""
        return self._loader("val", self.val_windows_per_clip, fixed=True)

    def test_dataloader(self) -> Loader:
        """The same of people kept for the last look."""
        return self._loader("test", self.val_windows_per_clip, fixed=True)

    def _loader(self, split: Split, windows_per_clip: int, fixed: bool) -> Loader:
        clips = [clip for clip in self.clips(split) if len(clip) >= SHORTEST]
        if not clips:
            raise ConfigError(
                f"the data set has no clip of {SHORTEST} frames or more with sound in its {split} split. "
                "Give more or longer clips."
            )
        windows = SyncDataset(clips, self.size, windows_per_clip, self.seed, fixed)
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        if not fixed and len(windows) < self.batch_size * world:
            raise ConfigError(
                f"an epoch has {len(windows)} windows, fewer than one step of {self.batch_size} x {world} processes. "
                "Raise windows_per_clip or lower batch_size."
            )
        return DataLoader(
            windows,
            batch_size=self.batch_size,
            sampler=EpochSampler(windows, world, rank, shuffle=not fixed, seed=self.seed, drop_last=not fixed),
            num_workers=self.workers,
            drop_last=not fixed,
            persistent_workers=self.workers > 0,
        )


class SyntheticSync(SyncModule):
    """Windows of the synthetic talking heads, split by identity.

    Args:
        size: side of the pictures, in pixels.
        identities: people in the whole set: 80 % train, 10 % val, 10 % test.
        clips_per_identity: clips of each.
        clip_frames: length of a clip, at 25 fps.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip.
        workers: loading processes; rendering uses one per processor.
        seed: of people, clips, windows and their order.
        framing: share of the frame that is shown; 0.55 is a face crop.
    """

    def __init__(
        self,
        size: int = 96,
        identities: int = 50,
        clips_per_identity: int = 4,
        clip_frames: int = 250,
        batch_size: int = 64,
        windows_per_clip: int = 16,
        val_windows_per_clip: int = 8,
        workers: int = 0,
        seed: int = 0,
        framing: float = 0.55,
    ) -> None:
        super().__init__(size, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.identities = identities
        self.clips_per_identity = clips_per_identity
        self.clip_frames = clip_frames
        self.framing = framing

    def prepare_data(self) -> None:
        """Render what was not rendered before."""
        for split in ("train", "val", "test"):
            self.clips(split)

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split, rendered if that was never done."""
        people, clips = self.identities, self.clips_per_identity
        length, framing = self.clip_frames, self.framing
        wanted = RenderedSet(split, people, clips, length, self.size, self.seed, audio=True, framing=framing)
        return render_set(wanted, processes=os.cpu_count() or 1)


class FolderSync(SyncModule):
    """Windows of real clips in a folder, split by identity; clips without sound are left out.

    The clips are to be face crops: the expert looks at the lower half of the middle square of each frame. Clips whose
    sound does not fit their pictures teach it nothing; find them first (Wav2Lip cleans its data by SyncNet).

    Args:
        root: folder of videos: ``root/IDENTITY/*.mp4``, or flat.
        manifest: CSV with ``path, identity``, and maybe ``split``; paths are relative to it.
        size: side of the pictures, in pixels.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip.
        workers: loading processes.
        seed: of the split where the manifest has none, of the windows and of their order.
    """

    def __init__(
        self,
        root: Path,
        manifest: Path | None = None,
        size: int = 96,
        batch_size: int = 64,
        windows_per_clip: int = 16,
        val_windows_per_clip: int = 8,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(size, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.root = root
        self.manifest = manifest
        self._found: list[ClipFile] | None = None

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split that have sound; files that do not decode were named and left out."""
        if self._found is None:
            self._found = spoken_clips(self.root, self.manifest, self.seed)
        return [clip for clip in self._found if clip.split == split]
