"""Faces of sampled frames linked into one track a person, by overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from talkingface.prepare.look import Faces

OVERLAP = 0.3  # IoU of one face in neighbouring samples, 0.2 s apart
MISSED = 2  # samples in a row in which a face may go unseen
SEEN = 3  # samples that make a track; fewer are false finds


@dataclass(frozen=True)
class Track:
    """One face over time, all of its samples in order.

    Attributes:
        frames: at 25 a second, ``n`` of them.
        boxes: in pixels, ``(n, 4)``.
        points: in pixels, ``(n, 5, 2)``.
        blur: ``(n,)``.
    """

    frames: list[int]
    boxes: Tensor
    points: Tensor
    blur: Tensor

    def between(self, first: int, end: int) -> "Track":
        """The samples of frames ``first`` to before ``end``."""
        kept = [row for row, frame in enumerate(self.frames) if first <= frame < end]
        return Track([self.frames[row] for row in kept], self.boxes[kept], self.points[kept], self.blur[kept])


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

    return Track([samples[step].frame for step, _ in steps], column("boxes"), column("points"), column("blur"))
