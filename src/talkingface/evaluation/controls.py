"""The rows that say what a number is worth: the ground truth through the same path, and negative controls."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from talkingface.core.media import VideoWriter
from talkingface.evaluation.inputs import FPS, read_clip
from talkingface.metrics import ScoredClip, Track

CRF = 18  # of the re-encoded control; visually lossless, what most published results were written with
GROUND_TRUTH = "ground truth"
REAL = "real vs real"  # half of the real clips beside the other half; only sets of clips have it
STRANGER = "another person"
SPEECH = "another clip's speech"
SELF = {
    GROUND_TRUTH: "the target beside itself",
    "re-encoded": f"the target through H.264 at crf {CRF}, 4:2:0",
    "1 frame late": "the target, delayed by one frame",
    "1 frame early": "the target, one frame ahead",
    "5 frames late": "the target, delayed by five frames",
    "5 frames early": "the target, five frames ahead",
    "frozen": "the target's first frame, all the time",
    STRANGER: "the target of another clip, of another person where there is one",
    SPEECH: "the target beside the speech of another clip",
}
CROSS = {
    "copy": "the portrait itself, all the time",
    STRANGER: "the portrait of another clip, all the time",
}


def control_clips(clip: ScoredClip, other: ScoredClip | None, cross: bool = False) -> Iterator[tuple[str, ScoredClip]]:
    """The controls of one clip, in the order of :data:`SELF` or :data:`CROSS`.

    Args:
        clip: with a target, whose file is ``path``; what is predicted is not looked at.
        other: a clip of another person, for the controls that need one.
        cross: whether the target is the portrait, repeated.
    """
    target = clip.target
    assert target is not None
    count = len(target)
    at = torch.arange(count)
    if cross:
        yield "copy", clip.with_video(target.select(at))
    else:
        yield GROUND_TRUTH, replace(clip, video=target.select(at))  # keeps its file, for metrics that replay codecs
        yield "re-encoded", clip.with_video(Track(_reencoded(target.data), target.extractors))
        for frames in (1, 5):
            late, early = f"{frames} frame{'s' * (frames > 1)} late", f"{frames} frame{'s' * (frames > 1)} early"
            yield late, clip.with_video(target.select((at - frames).clamp(min=0)))
            yield early, clip.with_video(target.select((at + frames).clamp(max=count - 1)))
        yield "frozen", clip.with_video(target.select(torch.zeros_like(at)))
    if other is None or other.target is None:
        return
    common = min(count, len(other.target))
    cut = clip if common == count else replace(clip, target=target.select(at[:common]))
    yield STRANGER, cut.with_video(other.target.select(at[:common]))
    if not cross and clip.audio is not None and other.audio is not None:
        yield SPEECH, replace(clip.with_video(target.select(at)), audio=other.audio)


def _reencoded(frames: Tensor) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(path, FPS, crf=CRF) as writer:
            for batch in frames.split(32):
                writer.write(batch.movedim(1, -1).numpy())
        return read_clip(path)[: len(frames), :, : frames.shape[2], : frames.shape[3]]  # odd sides were made even
