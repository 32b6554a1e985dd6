"""How well motion is transferred to synthetic people, where pose, expression and landmarks are known exactly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.geometry import geodesic_angle, rotation
from talkingface.data.synthetic import EMOTIONS, USUAL, Framing, Staging, SyntheticClip, render_clip, render_frame
from talkingface.evaluation.face_reader import SIZE, FaceReading, load_face_reader, read_faces, readable
from talkingface.evaluation.leakage import expression_leakage

Frames = NDArray[np.uint8]
SYSTEMS = ("model", "copy the source", "shuffled", "ground truth")
UNITS = {
    "pose-error": "°",
    "expression-rmse": "",
    "landmark-error": f"px at {SIZE} px",
    "expression-leakage": "",
    "expression-transfer": "",
}
_MOODS = EMOTIONS[1:]  # all but neutral
_BATCH = 16


class SizedRenderer(Protocol):
    """What is asked of the renderer."""

    size: int


class Animates(Protocol):
    """What is asked of a model; :class:`talkingface.Animator` is one."""

    @property
    def renderer(self) -> SizedRenderer:
        """Says at which size it draws."""

    def appearance(self, source: Frames, /) -> Any:
        """Encode a portrait ``(H, W, 3)``."""

    def motion(self, frames: Frames, /) -> Tensor:
        """Motion ``(n, D)`` of frames ``(n, H, W, 3)``."""

    def render(self, source: Any, motion: Tensor, /) -> Frames:
        """Draw the portrait with that motion, ``(n, size, size, 3)``."""


@dataclass(frozen=True)
class KnownReenactment:
    """One portrait to be moved after one clip, and everything that is true of the right result.

    Attributes:
        task: ``"self"``, the clip goes on from the portrait; ``"cross"``, it is another person's.
        clip: name, unique within the task.
        identity: of the portrait.
        portrait: ``(H, W, 3)``.
        driving: frames to take the motion from, ``(T, H, W, 3)``.
        other: frames of another clip in shuffled order, for the negative control, ``(T, H, W, 3)``.
        picture: the true result, ``(T, H, W, 3)``.
        truth: pose, expression and landmarks of ``picture``.
        portrait_expression: ``(16,)``; in cross-reenactment a strong emotion that is not the driving clip's.
    """

    task: Literal["self", "cross"]
    clip: str
    identity: int
    portrait: Frames
    driving: Frames
    other: Frames
    picture: Frames
    truth: FaceReading
    portrait_expression: Tensor


def self_reenactments(
    people: list[int], seed: int, frames: int, size: int, staging: Staging = USUAL
) -> Iterator[KnownReenactment]:
    """One clip a person: frame 0 is the portrait, the frames behind it drive.

    Args:
        people: identities, best unseen ones; at least two.
        seed: of the clips.
        frames: length of a clip, at 25 fps; at least two.
        size: side of the frames, in pixels.
        staging: how they are filmed.

    Raises:
        ConfigError: for fewer people or frames than that.
    """
    _check(people, frames)
    clips = [render_clip(person, seed, frames, size, audio=False, staging=staging) for person in people]
    for index, clip in enumerate(clips):
        yield KnownReenactment(
            task="self",
            clip=f"person {clip.identity}",
            identity=clip.identity,
            portrait=clip.frames[0],
            driving=clip.frames[1:],
            other=_shuffled(clips[(index + 1) % len(clips)].frames[1:], seed),
            picture=clip.frames[1:],
            truth=_truth(clip.pose[1:], clip.expression[1:], clip.landmarks[1:]),
            portrait_expression=torch.from_numpy(clip.expression[0]),
        )


def cross_reenactments(
    people: list[int], seed: int, frames: int, size: int, staging: Staging = USUAL
) -> Iterator[KnownReenactment]:
    """A portrait of each person with a strong emotion, driven by a clip of the next person in another mood.

    Args and errors as :func:`self_reenactments`.
    """
    _check(people, frames)
    moods = [_mood(index) for index in range(len(people))]
    drawn = zip(people, moods, strict=True)
    clips = [render_clip(person, seed, frames, size, mood, audio=False, staging=staging) for person, mood in drawn]
    for index, person in enumerate(people):
        number = (index + 1) % len(people)
        clip, other = clips[number], clips[(index + 2) % len(people)]
        still = render_clip(person, seed + 1, 1, size, _mood(number + 3), 3, audio=False, staging=staging)
        picture, landmarks = drawn_as(person, clip, Framing(size, staging.framing))
        yield KnownReenactment(
            task="cross",
            clip=f"person {person} after {clip.identity}",
            identity=person,
            portrait=still.frames[0],
            driving=clip.frames,
            other=_shuffled(other.frames, seed),
            picture=picture,
            truth=_truth(clip.pose, clip.expression, landmarks),
            portrait_expression=torch.from_numpy(still.expression[0]),
        )


def systems(animator: Animates, case: KnownReenactment) -> dict[str, Frames]:
    """What each of :data:`SYSTEMS` shows: the model, its baseline, its negative control, and the truth.

    Args:
        animator: the model.
        case: what it is to do.

    Returns:
        System → frames ``(T, H, W, 3)``.
    """
    rows = (
        drawn_after(animator, case.portrait, case.driving),
        np.broadcast_to(case.portrait, case.picture.shape),
        drawn_after(animator, case.portrait, case.other),
        case.picture,
    )
    return dict(zip(SYSTEMS, rows, strict=True))


def drawn_after(animator: Animates, portrait: Frames, driving: Frames) -> Frames:
    """A portrait ``(H, W, 3)`` moved after driving frames ``(T, H, W, 3)``: frames ``(T, size, size, 3)``."""
    source, starts = animator.appearance(portrait), range(0, len(driving), _BATCH)
    return np.concatenate([animator.render(source, animator.motion(driving[i : i + _BATCH])) for i in starts])


def synthetic_scores(animator: Animates, people: list[int], seed: int, frames: int) -> list[dict[str, Any]]:
    """Motion transfer error of a model and of its controls, one row a clip and system.

    Args:
        animator: the model.
        people: identities, best unseen ones; at least two.
        seed: of the clips.
        frames: length of a clip, at 25 fps.

    Returns:
        Rows with ``task``, ``system`` (of :data:`SYSTEMS`), ``clip``, ``identity`` and what :func:`score_frames` gives.
        The row ``ground truth`` is the true picture read by the same reader: the error of the instrument itself,
        below which nothing can be told apart.
    """
    rows = []
    for reenactments in (self_reenactments, cross_reenactments):
        for case in reenactments(people, seed, frames, animator.renderer.size):
            felt = case.portrait_expression if case.task == "cross" else None  # of one clip, it is much the same
            for system, predicted in systems(animator, case).items():
                row = {"task": case.task, "system": system, "clip": case.clip, "identity": case.identity}
                rows.append(row | score_frames(predicted, case.truth, felt))
    return rows


def score_frames(
    predicted: Frames, truth: FaceReading, portrait_expression: ArrayLike | Tensor | None = None
) -> dict[str, float]:
    """Read predicted frames and compare with what they should show.

    Args:
        predicted: uint8 ``(T, H, W, 3)``, of any size.
        truth: of the driving frames, placed as the right result has it.
        portrait_expression: ``(16,)``, true; with it, leakage is measured too.

    Returns:
        Means over frames, units in :data:`UNITS`: ``pose-error``, the geodesic angle; ``expression-rmse`` over frames
        and readable parameters; ``landmark-error``, mean distance of the 68; and, with a portrait,
        ``expression-leakage`` and ``expression-transfer``, as
        :func:`talkingface.evaluation.leakage.expression_leakage` has them.

    Raises:
        ShapeError: when there are not as many frames as truths.
    """
    if len(predicted) != len(truth.rotation):
        raise ShapeError(f"{len(predicted)} frames were predicted, but the truth of {len(truth.rotation)} is known.")
    reading = read_faces(predicted)
    felt, wanted = readable(reading.expression), readable(truth.expression)
    scores = {
        "pose-error": float(geodesic_angle(reading.rotation, truth.rotation).mean()),
        "expression-rmse": float((felt - wanted).square().mean().sqrt()),
        "landmark-error": float((reading.landmarks - truth.landmarks).norm(dim=-1).mean() * SIZE),
    }
    if portrait_expression is not None:
        usual = readable(load_face_reader().mean_expression)
        kept = readable(torch.as_tensor(portrait_expression))
        scores["expression-leakage"], scores["expression-transfer"] = expression_leakage(
            felt - usual, wanted - usual, kept - usual
        )
    return scores


def _check(people: list[int], frames: int) -> None:
    if len(people) < 2 or frames < 2:
        raise ConfigError(f"reenactment needs 2 people and 2 frames or more, not {len(people)} and {frames}.")


def _shuffled(frames: Frames, seed: int) -> Frames:
    return frames[np.random.default_rng(seed).permutation(len(frames))]


def _mood(number: int) -> str:
    return _MOODS[number % len(_MOODS)]


def drawn_as(person: int, clip: SyntheticClip, view: Framing) -> tuple[Frames, NDArray[np.float32]]:
    """A clip's movement on a person: frames ``(T, H, W, 3)`` and landmarks ``(T, 68, 2)``."""
    noses, sizes = view.outside(clip.landmarks[:, 30]), clip.scale * (view.size / view.whole)
    placed = zip(clip.pose, noses, sizes, clip.expression, strict=True)
    drawn = [render_frame(person, *parameters, view.whole) for parameters in placed]
    return view.cut(np.stack([frame for frame, _ in drawn])), view.inside(np.stack([points for _, points in drawn]))


def _truth(pose: ArrayLike, expression: ArrayLike, landmarks: ArrayLike) -> FaceReading:
    matrices, *others = (torch.as_tensor(np.asarray(values)) for values in (pose, expression, landmarks))
    return FaceReading(rotation(matrices), *others)
