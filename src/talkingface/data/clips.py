"""Lightning data modules of speech and motion: clips are encoded once, windows of them are served to training."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import AudioEncoder, ControlReader, MotionEncoder
from talkingface.data.epochs import EpochDataset
from talkingface.data.folder import ClipFile, scan_folder
from talkingface.data.labels import in_square
from talkingface.data.modules import Loader, WindowModule
from talkingface.data.rendered import RenderedClip, RenderedSet, Split, render_set
from talkingface.data.synthetic import Staging
from talkingface.data.tracks import ClipTracks, SpokenClip, TrackCache
from talkingface.data.windows import WindowDataset

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CALIBRATION = 20_000  # most frames that a generator's range is fitted to
CONTROLS = {"pose": (3,), "location": (), "scale": ()}


class ClipModule(WindowModule):
    """Base of the data modules that serve :class:`~talkingface.core.records.ClipBatch`.

    The encoders are those of the task, ``motion_encoder`` and ``audio_encoder``, so that a recipe names each of them
    once. Features come as float16, as they are kept.

    Args:
        size: side of the pictures that the motion encoder is given, in pixels.
        frames: length of a window; shorter clips are left out.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip, spread over the clip.
        workers: loading processes.
        seed: of the windows and of their order.
    """

    def __init__(
        self,
        size: int,
        frames: int,
        batch_size: int,
        windows_per_clip: int,
        val_windows_per_clip: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__(size, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.frames = frames
        self._tracks: dict[Split, list[ClipTracks]] = {}
        self._controls: dict[str, dict[str, Tensor]] = {}

    def clips(self, split: Split) -> Sequence[SpokenClip]:
        """The clips of one split that have sound."""
        raise NotImplementedError

    def controls_of(self, clip: Any) -> dict[str, Tensor]:
        """Control tracks of a clip of this data set, for the square that the motion encoder is shown."""
        raise NotImplementedError

    def labels_of(self, clip: Any) -> dict[str, Tensor]:
        """All that is known of each frame of a clip, for that square: what explicit representations are made of."""
        return {}

    def emotion_of(self, clip: Any) -> str:
        """What a clip of this data set is labelled with; empty where it is not."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Encode what was not encoded before, in one process of each machine."""
        cache, device = self._cache(), self.trainer.strategy.root_device  # type: ignore[union-attr]
        for split in SPLITS:
            clips = self._long_enough(split)
            unreadable = cache.encode(clips, device, f"encoding {split} clips, once")
            for reason in unreadable.values():
                rank_zero_info(f"  skipped {reason}")
            for clip in clips:
                if clip.clip_id not in unreadable:
                    self.controls_of(clip)  # readers that look at pictures remember what they saw

    def setup(self, stage: str) -> None:
        """Find the tracks that were prepared."""
        cache = self._cache()
        for split in SPLITS:
            clips = self._long_enough(split)
            found = [(clip, tracks) for clip in clips if (tracks := cache.find(clip)) is not None]
            self._tracks[split] = [tracks for _, tracks in found]
            self._controls |= {clip.clip_id: self.controls_of(clip) for clip, _ in found}
            short, broken = len(self.clips(split)) - len(clips), len(clips) - len(found)
            rank_zero_info(
                f"{split}: {len(found)} clips of speech; left out: {short} shorter than {self.frames + 1} frames, "
                f"{broken} that cannot be read"
            )

    def calibration(self) -> Tensor:
        """Motion of training frames spread evenly over the clips, ``(N, D)`` with N up to 20,000 or one a clip."""
        return torch.cat(list(self._calibration().values()))

    def moods(self) -> dict[str, Tensor]:
        """The same motion by the emotion that its clip is labelled with, emotion → ``(n, D)``."""
        motion, found = self._calibration(), defaultdict(list)
        for clip in self.clips("train"):
            if clip.clip_id in motion and (emotion := self.emotion_of(clip)):
                found[emotion].append(motion[clip.clip_id])
        return {emotion: torch.cat(clips) for emotion, clips in found.items()}

    def told(self) -> dict[str, Tensor]:
        """Control tracks of frames spread as evenly, name → ``(n,)`` or ``(n, 3)``; NaN where unknown."""
        step, found = self._every(), defaultdict(list)
        for clip in self.encoded("train"):
            for name, track in self._controls[clip.clip_id].items():
                found[name].append(track[::step])
        return {name: torch.cat(tracks) for name, tracks in found.items()}

    def windows(self, split: Split, windows_per_clip: int, fixed: bool) -> EpochDataset[Any]:
        """The windows of one split, of the tracks that were found."""
        clips = self.encoded(split)
        return WindowDataset(clips, self._controls, self.frames, windows_per_clip, self.seed, fixed)

    def predict_dataloader(self) -> Loader:
        """The windows of the test."""
        return self.test_dataloader()

    def _calibration(self) -> dict[str, Tensor]:
        step = self._every()
        return {clip.clip_id: clip.rows(0, clip.frames, step)[0] for clip in self.encoded("train")}

    def _every(self) -> int:
        return -(-sum(clip.frames for clip in self.encoded("train")) // CALIBRATION)

    def _cache(self) -> TrackCache:
        task = getattr(self.trainer, "lightning_module", None)
        motion_encoder, audio_encoder = (getattr(task, name, None) for name in ("motion_encoder", "audio_encoder"))
        if not isinstance(motion_encoder, MotionEncoder) or not isinstance(audio_encoder, AudioEncoder):
            raise ConfigError(
                f"{type(self).__name__} encodes its clips with the task's 'motion_encoder' and 'audio_encoder', which "
                f"{type(task).__name__} does not have. Train talkingface.tasks.Generation, or take a data set of pairs."
            )
        return TrackCache(motion_encoder, audio_encoder, self.size, self.labels_of)

    def _long_enough(self, split: Split) -> list[SpokenClip]:
        return [clip for clip in self.clips(split) if len(clip) > self.frames]

    def encoded(self, split: Split) -> list[ClipTracks]:
        """The tracks of one split that were found.

        Raises:
            ConfigError: when there are none.
        """
        if not self._tracks.get(split):
            raise ConfigError(
                f"the data set has no clip of more than {self.frames} frames with sound in its {split} split. "
                "Give more or longer clips, or shorter windows."
            )
        return self._tracks[split]


class SyntheticClips(ClipModule):
    """Windows of the synthetic talking heads, split by identity; controls are the truth.

    Args:
        size: side of the pictures, in pixels.
        identities: people in the whole set: 80 % train, 10 % val, 10 % test.
        clips_per_identity: clips of each.
        clip_frames: length of a clip, at 25 fps.
        frames: length of a window.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip.
        workers: loading processes; rendering uses one per processor.
        seed: of people, clips, windows and their order.
        framing: share of the frame that is shown, as the motion encoder was trained on.
        liveliness: factor on how far heads move; a third is as in real clips, see :class:`Staging`.
    """

    def __init__(
        self,
        size: int = 128,
        identities: int = 50,
        clips_per_identity: int = 4,
        clip_frames: int = 250,
        frames: int = 125,
        batch_size: int = 16,
        windows_per_clip: int = 4,
        val_windows_per_clip: int = 2,
        workers: int = 0,
        seed: int = 0,
        framing: float = 1.0,
        liveliness: float = 1.0,
    ) -> None:
        super().__init__(size, frames, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.identities = identities
        self.clips_per_identity = clips_per_identity
        self.clip_frames = clip_frames
        self.staging = Staging(framing, liveliness)

    def clips(self, split: Split) -> Sequence[SpokenClip]:
        """The clips of one split, rendered if that was never done."""
        people, clips = self.identities, self.clips_per_identity
        length, staging = self.clip_frames, self.staging
        wanted = RenderedSet(split, people, clips, length, self.size, self.seed, audio=True, staging=staging)
        return render_set(wanted, processes=os.cpu_count() or 1)

    def controls_of(self, clip: RenderedClip) -> dict[str, Tensor]:
        """The true pose, location and scale."""
        truth = self.labels_of(clip)
        return {name: truth[name] for name in CONTROLS}

    def labels_of(self, clip: RenderedClip) -> dict[str, Tensor]:
        """The truth."""
        return clip.truth(range(len(clip)))

    def emotion_of(self, clip: RenderedClip) -> str:
        """The true one."""
        return clip.emotion


class FolderClips(ClipModule):
    """Windows of real clips in a folder, split by identity; clips without sound are left out.

    Args:
        root: folder of videos: ``root/IDENTITY/*.mp4``, or flat.
        manifest: CSV with ``path, identity``, and maybe ``split`` and ``emotion``; paths are relative to it.
        controls: reads head pose, location and scale; without one they are unknown (NaN).
        size: side of the pictures that the motion encoder is given, in pixels.
        frames: length of a window.
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
        controls: ControlReader | None = None,
        size: int = 256,
        frames: int = 125,
        batch_size: int = 16,
        windows_per_clip: int = 4,
        val_windows_per_clip: int = 2,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(size, frames, batch_size, windows_per_clip, val_windows_per_clip, workers, seed)
        self.controls = controls
        self._folder = SpokenFolder(root, manifest, seed)

    def clips(self, split: Split) -> Sequence[SpokenClip]:
        """The clips of one split that have sound; files that do not decode were named and left out."""
        return self._folder.clips(split)

    def controls_of(self, clip: ClipFile) -> dict[str, Tensor]:
        """What the reader says of the clip, NaN without one."""
        found = self.labels_of(clip)
        unknown = {name: torch.full((len(clip), *shape), torch.nan) for name, shape in CONTROLS.items()}
        return {name: found.get(name, unknown[name]) for name in CONTROLS}

    def labels_of(self, clip: ClipFile) -> dict[str, Tensor]:
        """What the reader says of the clip, nothing without one."""
        return {} if self.controls is None else in_square(self.controls.read(clip.path), *clip.size)

    def emotion_of(self, clip: ClipFile) -> str:
        """What the manifest says."""
        return clip.emotion


class SpokenFolder:
    """The clips of a folder that have sound, looked for when they are first asked for.

    Args:
        root, manifest, seed: as for :func:`~talkingface.data.folder.scan_folder`.
    """

    def __init__(self, root: Path, manifest: Path | None, seed: int) -> None:
        self._asked = root, manifest, seed

    def clips(self, split: Split) -> list[ClipFile]:
        """The clips of one split."""
        return [clip for clip in self._found if clip.split == split]

    @cached_property
    def _found(self) -> list[ClipFile]:
        """Those with sound; the others are counted, and files that do not decode are named."""
        root, manifest, seed = self._asked
        found, summary = scan_folder(root, manifest, seed=seed)
        rank_zero_info(str(summary))
        silent = Counter(clip.split for clip in found if not clip.audio)
        if silent:
            shares = ", ".join(f"{name} {silent[name]}" for name in SPLITS)
            rank_zero_info(f"{silent.total()} clips have no sound and are left out: {shares}")
        return [clip for clip in found if clip.audio]
