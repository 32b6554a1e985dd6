"""Lightning data modules of faces and their sound, for training an expert of lip synchrony."""

import os
from collections.abc import Sequence
from pathlib import Path

from talkingface.core.errors import ConfigError
from talkingface.data.clips import SpokenFolder
from talkingface.data.modules import WindowModule
from talkingface.data.rendered import RenderedSet, Split, render_set
from talkingface.data.sync import SHORTEST, SeenAndHeard, SyncDataset
from talkingface.data.synthetic import Staging


class SyncModule(WindowModule):
    """Base of the data modules that serve :class:`~talkingface.core.records.SyncBatch`.

    Pictures are to show the mouth in their lower half. Each window counts once with its sound and once with another;
    those for judging come with the sound of every offset.
    """

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split that have sound."""
        raise NotImplementedError

    def windows(self, split: Split, windows_per_clip: int, fixed: bool) -> SyncDataset:
        """The windows of one split."""
        clips = [clip for clip in self.clips(split) if len(clip) >= SHORTEST]
        if not clips:
            raise ConfigError(
                f"the data set has no clip of {SHORTEST} frames or more with sound in its {split} split. "
                "Give more or longer clips."
            )
        return SyncDataset(clips, self.size, windows_per_clip, self.seed, fixed)


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
        liveliness: factor on how far heads move; a third is as in real clips, see :class:`Staging`.
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
        liveliness: float = 1.0,
    ) -> None:
        super().__init__(size, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.identities = identities
        self.clips_per_identity = clips_per_identity
        self.clip_frames = clip_frames
        self.staging = Staging(framing, liveliness)

    def prepare_data(self) -> None:
        """Render what was not rendered before."""
        for split in ("train", "val", "test"):
            self.clips(split)

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split, rendered if that was never done."""
        people, clips = self.identities, self.clips_per_identity
        length, staging = self.clip_frames, self.staging
        wanted = RenderedSet(split, people, clips, length, self.size, self.seed, audio=True, staging=staging)
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
        self._folder = SpokenFolder(root, manifest, seed)

    def clips(self, split: Split) -> Sequence[SeenAndHeard]:
        """The clips of one split that have sound; files that do not decode were named and left out."""
        return self._folder.clips(split)
