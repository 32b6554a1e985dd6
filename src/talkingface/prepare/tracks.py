"""Faces of sampled frames linked into one track a person, by overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

from talkingface.prepare.look import Faces

OVERLAP = 0.3  # IoU of one face in neighbouring samples, 0.2 s apart
MISSED = 2  # samples in a row in which a face may go unseen
SIDE = 2  # samples on either side of a moment at which the face may change: one may be blurred, or half hidden
SEEN = 3  # samples that make a track; fewer are false finds


@dataclass(frozen=True)
class Track:
    """One face over time, all of its samples in order.

    Attributes:
        frames: at 25 a second, ``n`` of them.
        boxes: in pixels, ``(n, 4)``.
        points: in pixels, ``(n, 5, 2)``.
        blur: ``(n,)``.
        who: embeddings of recognition, ``(n, E)``; E is 0 without.
    """

    frames: list[int]
    boxes: Tensor
    points: Tensor
    blur: Tensor
    who: Tensor

    def between(self, first: int, end: int) -> "Track":
        """The samples of frames ``first`` to before ``end``."""
        kept = [row for row, frame in enumerate(self.frames) if first <= frame < end]
        columns = (column[kept] for column in (self.boxes, self.points, self.blur, self.who))
        return Track([self.frames[row] for row in kept], *columns)

    @property
    def likeness(self) -> Tensor:
        """Cosine of the faces before and after each moment between samples, ``(n - 1,)``; empty without recognition.

        Faces are means of the two samples on that side. By FaceNet the least of a real clip of one person was 0.62 or
        more, and 0.50 or less where the face of another took over.
        """
        if not self.who.shape[1]:
            return torch.zeros(0)
        sides = [(self.who[max(0, row - SIDE) : row], self.who[row : row + SIDE]) for row in range(1, len(self.who))]
        likes = [functional.cosine_similarity(mean_face(before), mean_face(after), dim=0) for before, after in sides]
        return torch.stack(likes) if likes else torch.zeros(0)


def mean_face(who: Tensor) -> Tensor:
    """One unit vector ``(E,)`` for embeddings ``(n, E)`` of a face."""
    return functional.normalize(who.mean(0), dim=0)


def one_face(track: Track, likeness: float) -> list[Track]:
    """Cut a track wherever its face becomes another one's: overlap does not tell faces that swap in one place.

    Args:
        track: linked by overlap.
        likeness: least cosine of two faces of one person.

    Returns:
        The pieces in order; the track itself where its face stays.
    """
    like = track.likeness
    if not len(like) or float(like.min()) >= likeness:
        return [track]
    border = track.frames[int(like.argmin()) + 1]
    parts = track.between(0, border), track.between(border, track.frames[-1] + 1)
    return [piece for part in parts for piece in one_face(part, likeness)]


def link(samples: Sequence[Faces]) -> list[Track]:
    """Tracks of one shot, in the order in which they begin.

    In each sample the pairs of track and face that overlap most are joined first; a track ends when it was missed in
    three samples.

    Args:
        samples: of the shot, in order.
    """
    tracks: list[list[tuple[int, int]]] = []  # sample and face of each step
    running: list[int] = []
    for number, sample in enumerate(samples):
        running = [track for track in running if number - tracks[track][-1][0] <= MISSED + 1]
        last = [samples[step].boxes[face] for step, face in (tracks[track][-1] for track in running)]
        shared = box_iou(torch.stack(last), sample.boxes) if last else torch.zeros(0, len(sample.boxes))
        free = set(range(len(sample.boxes)))
        while shared.numel() and shared.max() > OVERLAP:
            row, face = divmod(int(shared.argmax()), shared.shape[1])
            tracks[running[row]].append((number, face))
            free.remove(face)
            shared[row], shared[:, face] = 0, 0
        for face in sorted(free):
            running.append(len(tracks))
            tracks.append([(number, face)])
    return [_track(samples, steps) for steps in tracks if len(steps) >= SEEN]


def _track(samples: Sequence[Faces], steps: list[tuple[int, int]]) -> Track:
    def column(name: str) -> Tensor:
        return torch.stack([getattr(samples[step], name)[face] for step, face in steps])

    names = ("boxes", "points", "blur", "who")
    return Track([samples[step].frame for step, _ in steps], *(column(name) for name in names))
