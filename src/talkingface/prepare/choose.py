"""Which spans of a source become clips: one face each, long, large, sharp and frontal enough; no pixels are needed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torchvision.ops import box_iou

from talkingface.prepare.look import Look
from talkingface.prepare.pose import pose_of
from talkingface.prepare.records import Dropped, Source
from talkingface.prepare.settings import Settings
from talkingface.prepare.tracks import Track, link, one_face

FPS = 25
INSIDE = 0.75  # share of the face box that must lie in the crop; MTCNN's boxes reach over the frame's border
COMPANY = 0.5  # of a face's width: another one of so much, anywhere in the frame, may be the one that is meant


@dataclass(frozen=True)
class Span:
    """A clip to be cut.

    Attributes:
        first, end: frames at 25 a second, ``end`` excluded.
        left, top, side: the crop, in pixels.
        track: the face, samples of this span.
        pose: of the samples, ``(n, 3)`` degrees.
    """

    first: int
    end: int
    left: int
    top: int
    side: int
    track: Track
    pose: Tensor

    @property
    def face(self) -> float:
        """Median of the longer side of the face box, in pixels."""
        return longer_side(self.track.boxes)


def choose(look: Look, source: Source, name: str, settings: Settings) -> Iterator[Span | Dropped]:
    """Go through the shots of a source.

    Args:
        look: what the first pass saw.
        source: what its data set says; a ``box`` names the face that is meant.
        name: of the source in the report.
        settings: all thresholds.

    Yields:
        Spans to be cut, and everything else with the reason.
    """
    for begin, stop in look.shots:
        samples = [faces for faces in look.faces if begin <= faces.frame < stop]
        tracks = link(samples)
        if source.box is not None:
            tracks = _meant(tracks, torch.tensor(source.box) * torch.tensor([look.width, look.height] * 2))
        if not tracks:
            least = math.ceil(settings.min_face * 3 / 8)
            reason = f"no face of {least} px or more" if source.box is None else "no face where the data set says"
            yield dropped_span(source, name, begin, stop, "faces", reason)
        for track in tracks:
            others = [other for other in tracks if other is not track]
            faces = one_face(track, settings.min_likeness)
            for face in faces:  # what lies between the last sample of one and the first of the next is left out
                first = begin if face.frames[0] - begin < settings.stride else face.frames[0]
                end = stop if stop - face.frames[-1] <= settings.stride else face.frames[-1] + 1
                if len(faces) > 1 and end - first < settings.min_seconds * FPS:
                    reason = f"another face takes its place within {settings.min_seconds:g} s"
                    yield dropped_span(source, name, first, end, "identity", reason)
                    continue
                for piece in pieces(first, end, settings):
                    found = _judge(look, face.between(*piece), *piece, others, settings)
                    if isinstance(found, Span):
                        yield found
                    else:
                        yield dropped_span(source, name, *piece, *found)


def pieces(first: int, end: int, settings: Settings) -> list[tuple[int, int]]:
    """A span, split evenly where it is longer than a clip may be.

    >>> pieces(0, 1000, Settings(max_seconds=30))
    [(0, 500), (500, 1000)]
    """
    count = max(1, math.ceil((end - first) / (settings.max_seconds * FPS)))
    borders = [first + round(part * (end - first) / count) for part in range(count + 1)]
    return list(pairwise(borders))


def longer_side(boxes: Tensor) -> float:
    """Median over samples of the longer side of boxes ``(n, 4)``, in pixels."""
    return float((boxes[:, 2:] - boxes[:, :2]).max(1).values.median())


def crop_of(boxes: Tensor, width: int, height: int, margin: float) -> tuple[int, int, int]:
    """One fixed square around a face: median middle and size, as AniTalker's preparation has it, moved into the frame.

    Args:
        boxes: of the samples, ``(n, 4)`` in pixels.
        width, height: of the frame, in pixels.
        margin: side over the longer side of the median box.

    Returns:
        Left, top and side in pixels.

    >>> crop_of(torch.tensor([[40.0, 40.0, 60.0, 70.0]]), 200, 100, 1.6)
    (26, 31, 48)
    """
    sizes, middles = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    side = min(round(float(sizes.median(0).values.max()) * margin), width, height)
    x, y = middles.median(0).values.tolist()
    return min(max(0, round(x - side / 2)), width - side), min(max(0, round(y - side / 2)), height - side), side


def _judge(
    look: Look, track: Track, first: int, end: int, others: Sequence[Track], settings: Settings
) -> Span | tuple[str, str]:
    """The span, or the stage and the reason that drop it."""
    seconds = (end - first) / FPS
    if seconds < settings.min_seconds or not track.frames:
        return "length", f"shorter than {settings.min_seconds:g} s"
    face = longer_side(track.boxes)
    if face < settings.min_face:
        return "face size", f"face below {settings.min_face} px"
    pose = pose_of(track.points)
    if float(pose[:, 0].abs().max()) > settings.max_yaw:
        return "yaw", f"head turned by more than {settings.max_yaw:g}°"
    left, top, side = crop_of(track.boxes, look.width, look.height, settings.margin)
    crop = torch.tensor([left, top, left + side, top + side], dtype=torch.float32)
    if float(_share_inside(track.boxes, crop).min()) < INSIDE:
        return "crop", "the face leaves the crop"
    for other in others:
        beside = other.between(first, end)
        if not beside.frames:
            continue
        if longer_side(beside.boxes) > COMPANY * face:
            return "one face", "another face of such size"
        middles = (beside.boxes[:, :2] + beside.boxes[:, 2:]) / 2
        if bool(((middles > crop[:2]) & (middles < crop[2:])).all(1).any()):
            return "one face", "another face in the crop"
    if float(track.blur.median()) < settings.min_blur:
        return "blur", f"blurred (variance of the Laplacian below {settings.min_blur:g})"
    return Span(first, end, left, top, side, track, pose)


def _share_inside(boxes: Tensor, crop: Tensor) -> Tensor:
    """Share of each box ``(n, 4)`` that lies in the crop ``(4,)``."""
    inner = torch.minimum(boxes[:, 2:], crop[2:]) - torch.maximum(boxes[:, :2], crop[:2])
    return inner.clamp(min=0).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _meant(tracks: Sequence[Track], box: Tensor) -> list[Track]:
    """The track that covers the data set's box best, if any does."""
    shared = [float(box_iou(track.boxes, box[None]).mean()) for track in tracks]
    return [tracks[shared.index(max(shared))]] if shared and max(shared) > 0.1 else []


def dropped_span(source: Source, name: str, first: int, end: int, stage: str, reason: str) -> Dropped:
    """The row of the report for frames ``first`` to before ``end`` of a source."""
    return Dropped(name, round(source.start + first / FPS, 2), round((end - first) / FPS, 2), stage, reason)
