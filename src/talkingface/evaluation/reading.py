"""From pairs of files to clips that metrics read; every file is decoded once, and sizes and lengths are made to fit."""

from collections import OrderedDict
from dataclasses import replace

import torch
from torch import Tensor

from talkingface.core.errors import ShapeError
from talkingface.core.media import is_picture, is_video, probe_video, read_audio, read_picture
from talkingface.evaluation.inputs import FPS, read_clip
from talkingface.evaluation.job import Job
from talkingface.evaluation.pairing import Pair
from talkingface.evaluation.scoring import Extractors
from talkingface.metrics import ScoredClip, Track
from talkingface.metrics.labels import read_labels

_KEPT = 2  # references: this clip's, and the next one's, which is this one's "another person"
_SAMPLES = 640  # of a frame


class ClipReader:
    """Reads the clips of a job.

    Args:
        job: what is evaluated.
        extractors: what finds the features that metrics need.
    """

    def __init__(self, job: Job, extractors: Extractors) -> None:
        self.job, self.extractors = job, extractors
        self._kept: OrderedDict[int, ScoredClip] = OrderedDict()

    def reference(self, index: int) -> ScoredClip:
        """The target (in cross-reenactment: the portrait) of a pair, itself in place of a prediction.

        Args:
            index: of the pair.

        Raises:
            MediaError, ShapeError: when it cannot be read.
        """
        if index not in self._kept:
            self._kept[index] = self._read_reference(self.job.pairing.pairs[index])
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(index)
        return self._kept[index]

    def prediction(self, index: int) -> Track:
        """The predicted frames of a pair.

        Args:
            index: of the pair.

        Raises:
            MediaError, ShapeError: when it cannot be read.
        """
        pair = self.job.pairing.pairs[index]
        return self._track(read_clip(pair.pred, self.job.size), "pred", pair)

    def together(self, index: int, video: Track) -> ScoredClip:
        """A prediction beside its reference, cut to the frames that both have.

        Args:
            index: of the pair.
            video: as :meth:`prediction`.

        Raises:
            ShapeError: two sizes.
            MediaError: a reference that cannot be read.
        """
        clip = self.reference(index)
        pair = self.job.pairing.pairs[index]
        assert clip.target is not None
        target = clip.target.select(torch.zeros(len(video), dtype=torch.long)) if self.job.cross else clip.target
        ours, theirs = (tuple(reversed(track.data.shape[-2:])) for track in (video, target))
        if ours != theirs:
            raise ShapeError(
                f"the prediction has {ours[0]}×{ours[1]} pixels and its reference {theirs[0]}×{theirs[1]}; "
                "give --size to resize both"
            )
        common = torch.arange(min(len(video), len(target)))
        cut = (track if len(track) == len(common) else track.select(common) for track in (video, target))
        both = replace(clip, video=next(cut), target=next(cut))
        return replace(both, path=pair.pred if is_video(pair.pred) else None)

    def _read_reference(self, pair: Pair) -> ScoredClip:
        source = None
        if pair.source is not None:
            frames = (
                torch.from_numpy(read_picture(pair.source)[None]).movedim(-1, -3) if is_picture(pair.source) else None
            )
            first = read_clip(pair.source, self.job.size)[:1] if frames is None else frames
            source = Track(first, self.extractors)
        target = source if pair.target is None else self._track(read_clip(pair.target, self.job.size), "target", pair)
        assert target is not None
        path = pair.target if pair.target is not None and is_video(pair.target) else None
        return ScoredClip(pair.clip, target, target, source, self._audio(pair), path, FPS)

    def _track(self, frames: Tensor, side: str, pair: Pair) -> Track:
        if len(frames) <= self.job.skip:
            raise ShapeError(f"has {len(frames)} frames, of which --skip leaves out {self.job.skip}")
        kept = frames[self.job.skip :]
        known: dict[str, Tensor] = {}
        if side in self.job.labels:
            labels = read_labels(self.job.labels[side] / f"{pair.clip}.npz", (frames.shape[-2], frames.shape[-1]))
            for name, rows in labels.items():
                if len(rows) < len(frames):
                    raise ShapeError(f"has {len(frames)} frames, but its labels {len(rows)}")
                known[name] = rows[self.job.skip : len(frames)]
        return Track(kept, self.extractors, known)

    def _audio(self, pair: Pair) -> Track | None:
        path = pair.audio
        if path is None or not path.is_file() or path.suffix == ".npy":
            return None
        if is_video(path) and not probe_video(path).audio:
            return None
        return Track(torch.from_numpy(read_audio(path))[self.job.skip * _SAMPLES :], self.extractors)
