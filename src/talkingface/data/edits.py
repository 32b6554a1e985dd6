"""A fifth of a second of a video beside speech: what an editor of expressions is trained on (ControlTalk)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.core.images import center_square, resize, to_float
from talkingface.core.interfaces import ControlReader
from talkingface.core.sync_window import FRAMES
from talkingface.data.clips import ClipModule, FolderClips, SyntheticClips
from talkingface.data.epochs import EpochDataset
from talkingface.data.folder import ClipFile
from talkingface.data.labels import in_square
from talkingface.data.rendered import RenderedClip, Split
from talkingface.data.sync import SeenAndHeard, sound_of, wave_of
from talkingface.data.tracks import ClipTracks


@dataclass(frozen=True)
class EditClip:
    """A clip whose speech is encoded and whose face was found.

    Args:
        clip: its frames and its sound.
        tracks: its speech features.
        landmarks: ``(T, 68, 2)`` as fractions of the middle square; NaN where unknown.
        starts: first frames of the windows that can be taken.
    """

    clip: SeenAndHeard
    tracks: ClipTracks
    landmarks: Tensor
    starts: tuple[int, ...]


class EditDataset(EpochDataset[EditClip]):
    """Windows of five frames and of speech (:class:`~talkingface.core.records.EditBatch`).

    Args:
        clips: with sound and landmarks.
        size: side of the pictures, in pixels; the middle square of a frame is taken.
        context: frames of speech before and after the window that come with it.
        swapped: share of the windows whose speech is that of another time of the clip, in ``[0, 1]``.
        windows_per_clip: how many windows of each clip make an epoch.
        seed: same seed, same windows.
        fixed: the same windows in every epoch, spread over the clip, all with speech of another time: for judging.
    """

    def __init__(
        self,
        clips: Sequence[EditClip],
        size: int,
        context: int,
        swapped: float,
        windows_per_clip: int,
        seed: int = 0,
        fixed: bool = False,
    ) -> None:
        super().__init__(clips, windows_per_clip, seed, fixed)
        self.size = size
        self.context = context
        self.swapped = swapped

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = self.clips[index % len(self.clips)]
        first, spoken = self._choose(index, clip.starts)
        window = range(first, first + FRAMES)
        return {
            "frames": resize(to_float(center_square(clip.clip.read(window))), self.size),
            "landmarks": clip.landmarks[first : first + FRAMES],
            "features": clip.tracks.features(spoken - self.context, spoken + FRAMES + self.context),
            "sound": sound_of(torch.from_numpy(wave_of(clip.clip)), spoken),
            "clip_id": clip.clip.clip_id,
        }

    def _choose(self, index: int, starts: Sequence[int]) -> tuple[int, int]:
        """First frames of the pictures and of the speech."""
        if self.fixed:
            place = self.spread(index, 0, len(starts) - 1)
            return starts[place], starts[(place + len(starts) // 2) % len(starts)]
        draws = self.draws(index)
        first, other = (starts[place] for place in draws.integers(len(starts), size=2))
        return first, other if draws.random() < self.swapped else first


class SyntheticEdits(SyntheticClips):
    """Windows of the synthetic talking heads, split by identity; landmarks are the truth.

    Args:
        size: side of the pictures, in pixels: that of the renderer.
        identities: people in the whole set: 80 % train, 10 % val, 10 % test.
        clips_per_identity: clips of each.
        clip_frames: length of a clip, at 25 fps.
        context: frames of speech before and after a window that come with it.
        swapped: share of the training windows whose speech is that of another time of the clip. With all windows in
            synchrony, as the paper describes them, leaving everything as it is would be best.
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
        context: int = 10,
        swapped: float = 0.5,
        batch_size: int = 8,
        windows_per_clip: int = 16,
        val_windows_per_clip: int = 4,
        workers: int = 0,
        seed: int = 0,
        framing: float = 1.0,
        liveliness: float = 1.0,
    ) -> None:
        super().__init__(
            size=size,
            identities=identities,
            clips_per_identity=clips_per_identity,
            clip_frames=clip_frames,
            frames=FRAMES + 2 * context,
            batch_size=batch_size,
            windows_per_clip=windows_per_clip,
            val_windows_per_clip=val_windows_per_clip,
            workers=workers,
            seed=seed,
            framing=framing,
            liveliness=liveliness,
        )
        self.context = context
        self.swapped = swapped

    def controls_of(self, clip: RenderedClip) -> dict[str, Tensor]:
        """The true landmarks."""
        return {"landmarks": clip.truth(range(len(clip)))["landmarks"]}

    def windows(self, split: Split, windows_per_clip: int, fixed: bool) -> EditDataset:
        """The windows of one split."""
        clips = edit_clips(self, split, self.context)
        return EditDataset(clips, self.size, self.context, self.swapped, windows_per_clip, self.seed, fixed)


class FolderEdits(FolderClips):
    """Windows of real clips in a folder, split by identity; those without sound, or without a face, are left out.

    Args:
        root: folder of videos: ``root/IDENTITY/*.mp4``, or flat.
        controls: reads the landmarks.
        manifest: CSV with ``path, identity``, and maybe ``split``; paths are relative to it.
        size: side of the pictures, in pixels: that of the renderer.
        context: frames of speech before and after a window that come with it.
        swapped: see :class:`SyntheticEdits`.
        batch_size: windows a step and process.
        windows_per_clip: windows drawn from each training clip in an epoch.
        val_windows_per_clip: fixed windows of each unseen clip.
        workers: loading processes.
        seed: of the split where the manifest has none, of the windows and of their order.
    """

    def __init__(
        self,
        root: Path,
        controls: ControlReader,
        manifest: Path | None = None,
        size: int = 256,
        context: int = 0,
        swapped: float = 0.5,
        batch_size: int = 4,
        windows_per_clip: int = 16,
        val_windows_per_clip: int = 4,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root,
            manifest,
            controls,
            size=size,
            frames=FRAMES + 2 * context,
            batch_size=batch_size,
            windows_per_clip=windows_per_clip,
            val_windows_per_clip=val_windows_per_clip,
            workers=workers,
            seed=seed,
        )
        self.context = context
        self.swapped = swapped

    def controls_of(self, clip: ClipFile) -> dict[str, Tensor]:
        """The landmarks that the reader finds."""
        assert self.controls is not None
        return {"landmarks": in_square(self.controls.read(clip.path), *clip.size)["landmarks"]}

    def windows(self, split: Split, windows_per_clip: int, fixed: bool) -> EditDataset:
        """The windows of one split."""
        clips = edit_clips(self, split, self.context)
        return EditDataset(clips, self.size, self.context, self.swapped, windows_per_clip, self.seed, fixed)


def edit_clips(module: ClipModule, split: Split, context: int) -> list[EditClip]:
    """The clips of a split that have a window whose landmarks are known.

    Args:
        module: whose clips were encoded.
        split: of them.
        context: frames of speech around a window.

    Raises:
        ConfigError: when there is none.
    """
    named: dict[str, Any] = {clip.clip_id: clip for clip in module.clips(split)}
    found = []
    for tracks in module.encoded(split):
        landmarks = module.controls_of(named[tracks.clip_id])["landmarks"]
        known = (~landmarks.flatten(1).isnan().any(1)).tolist()
        last = tracks.frames - FRAMES - context
        starts = tuple(first for first in range(context, last + 1) if all(known[first : first + FRAMES]))
        if starts:
            found.append(EditClip(named[tracks.clip_id], tracks, landmarks, starts))
        else:
            rank_zero_info(f"  left out {tracks.clip_id}: no {FRAMES} frames in a row whose landmarks are known")
    if not found:
        raise ConfigError(f"no clip of the {split} split has {FRAMES} frames in a row whose landmarks are known.")
    return found
