"""How well a model moves synthetic people that it has never seen, where the true picture is always known."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.data.synthetic import SyntheticClip, render_clip, render_frame
from talkingface.pipelines.animator import Animator
from talkingface.tasks.reconstruction import METRICS, ROWS

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Reenactment:
    """One portrait moved after one clip, beside what is true.

    Attributes:
        name: who drives whom.
        portrait: the source, ``(H, W, 3)``.
        driving: the driving clip's frames, ``(T, H, W, 3)``.
        rows: what each row of the table shows, by key of ``ROWS``, ``(T, H, W, 3)``.
    """

    name: str
    portrait: Frames
    driving: Frames
    rows: dict[str, Frames]


def self_reenactment(animator: Animator, people: list[int], seed: int, frames: int) -> Iterator[Reenactment]:
    """Frame 0 of a clip, moved after the frames behind it; the portrait's own frame is not scored.

    Args:
        animator: the model.
        people: identities, best unseen ones.
        seed: of the clips.
        frames: length of a clip, at 25 fps.
    """
    clips = [render_clip(person, seed, frames, animator.renderer.size, audio=False).frames for person in people]
    for person, clip, other in zip(people, clips, [*clips[1:], clips[0]], strict=True):
        yield _reenact(animator, f"person {person}", clip[0], clip[1:], other[1:], truth=clip[1:])


def cross_reenactment(animator: Animator, people: list[int], seed: int, frames: int) -> Iterator[Reenactment]:
    """Frame 0 of each person, moved after a clip of the next; the truth is drawn from the driving clip's parameters.

    Args:
        animator: the model.
        people: identities, best unseen ones; at least two.
        seed: of the clips.
        frames: length of a clip, at 25 fps.
    """
    size = animator.renderer.size
    clips = [render_clip(person, seed, frames, size, audio=False) for person in people]
    for index, person in enumerate(people):
        own, driver, other = (clips[(index + step) % len(people)] for step in (0, 1, 2))
        truth = _drawn_as(person, driver, size)
        name = f"person {person} after {driver.identity}"
        yield _reenact(animator, name, own.frames[0], driver.frames, other.frames, truth)


def score(reenactments: list[Reenactment]) -> dict[str, dict[str, float]]:
    """Row → metric → mean over frames, then clips.

    Args:
        reenactments: of one kind.
    """
    table = {}
    for row in ROWS:
        metrics = {name: metric() for name, metric in METRICS.items()}
        for one in reenactments:
            for metric in metrics.values():
                metric.update(_stack(one.rows[row]), _stack(one.rows["truth"]))
        table[row] = {name: float(metric.compute()) for name, metric in metrics.items()}
    return table


def _reenact(
    animator: Animator, name: str, portrait: Frames, driving: Frames, other: Frames, truth: Frames
) -> Reenactment:
    """The model driven by the right clip, and, as its negative control, by another person's in shuffled order."""
    source = animator.appearance(portrait)

    def drawn_after(frames: Frames) -> Frames:
        return np.concatenate([animator.render(source, animator.motion(part)) for part in _batches(frames)])

    rows = {
        "copy": np.broadcast_to(portrait, truth.shape),
        "shuffled": drawn_after(other[np.random.default_rng(0).permutation(len(other))]),
        "model": drawn_after(driving),
        "truth": truth,
    }
    return Reenactment(name, portrait, driving, rows)


def _drawn_as(person: int, clip: SyntheticClip, size: int) -> Frames:
    nose_tip = clip.landmarks[:, 30]  # places the head across and down; ``location`` only says across
    placed = zip(clip.pose, nose_tip, clip.scale, clip.expression, strict=True)
    return np.stack([render_frame(person, *parameters, size)[0] for parameters in placed])


def _batches(frames: Frames) -> Iterator[Frames]:
    for start in range(0, len(frames), 16):
        yield frames[start : start + 16]


def _stack(frames: Frames) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3)
