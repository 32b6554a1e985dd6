"""How synthetic people speak whom a model has never seen: lips, pose, place and size against the true ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.geometry import geodesic_angle, rotation
from talkingface.data.synthetic import EXPRESSIONS, USUAL, Framing, Staging, render_clip
from talkingface.evaluation.face_reader import FaceReading, read_faces
from talkingface.evaluation.synthetic import Animates, Frames, drawn_after, drawn_as

SYSTEMS = ("model", "copy the source", "shuffled", "true motion", "ground truth")
TOLD = ("pose", "location", "scale")  # what is true of a clip and can be told
UNITS = {
    "lip-correlation": "",
    "lip-opening": "% of the true one",
    "pose-error": "°",
    "location-error": "% of width",
    "scale-error": "% of height",
}
MOUTH = ("jaw", "lip_width", "rounding", "press", "lip_part")  # the expression parameters that speaking moves
WIDE = 0.8  # quantile of the true lip opening above which a mouth counts as wide open
_JAW, _PART = EXPRESSIONS.index("jaw"), EXPRESSIONS.index("lip_part")
_TWICE = 2  # how much less parted teeth-together lips are than an open jaw


class Speaks(Animates, Protocol):
    """What is asked of a model; :class:`talkingface.Animator` with a motion generator is one."""

    def animate(
        self,
        source: Frames,
        /,
        *,
        audio: NDArray[np.float32],
        seed: int,
        crop: Literal["none"],
        pose: NDArray[np.float32] | None = None,
        location: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
        mouth: float | None = None,
        steps: int = 50,
        guidance: float = 1.0,
    ) -> "Speaking":
        """Make a portrait speak, with the control tracks that are given and what else is asked for."""

    def redub(self, frames: Frames, audio: NDArray[np.float32], /, *, mouth: float | None = None) -> Frames:
        """Make the faces of a video speak, where the generator edits."""


class Speaking(Protocol):
    """An animation."""

    def frames(self) -> Iterator[Frames]:
        """Its frames, ``(n, size, size, 3)`` at a time."""


@dataclass(frozen=True)
class KnownSpeech:
    """One person who is to say something, and everything that is true of how they said it.

    Attributes:
        task: ``"speech"``, only the sound is told; ``"told"``, pose, place and size as well (as AniTalker's Table 2);
            ``"dubbed"``, there is a video of the person who says something else (as ControlTalk's Table 1).
        clip: name, unique within the task.
        identity: of the portrait.
        portrait: frame 0 of the clip, ``(H, W, 3)``.
        audio: what is said, 16 kHz, ``(640 * T,)``.
        other: what another person says, for the negative control, as long.
        controls: ``pose`` (T, 3), ``location`` (T,), ``scale`` (T,); empty unless they are told.
        video: what is dubbed, ``(T, H, W, 3)``; ``None`` where there is only the portrait.
        picture: the true clip, ``(T, H, W, 3)``.
        truth: pose, expression and landmarks of ``picture``.
    """

    task: Literal["speech", "told", "dubbed"]
    clip: str
    identity: int
    portrait: Frames
    audio: NDArray[np.float32]
    other: NDArray[np.float32]
    controls: Mapping[str, NDArray[np.float32]]
    picture: Frames
    truth: FaceReading
    video: Frames | None = None


def known_speech(
    people: list[int], seed: int, frames: int, size: int, attributes: tuple[str, ...] = (), staging: Staging = USUAL
) -> Iterator[KnownSpeech]:
    """One clip a person.

    Args:
        people: identities, best unseen ones; at least two.
        seed: of the clips.
        frames: length of a clip, at 25 fps; at least two.
        size: side of the frames, in pixels.
        attributes: control tracks that are told; none for the task ``"speech"``.
        staging: how they are filmed.

    Raises:
        ConfigError: for fewer people or frames than that.
    """
    if len(people) < 2 or frames < 2:
        raise ConfigError(f"speech needs 2 people and 2 frames or more, not {len(people)} and {frames}.")
    clips = [render_clip(person, seed, frames, size, staging=staging) for person in people]
    for index, clip in enumerate(clips):
        landmarks, expression = torch.from_numpy(clip.landmarks), torch.from_numpy(clip.expression)
        yield KnownSpeech(
            task="told" if attributes else "speech",
            clip=f"person {clip.identity} speaks",
            identity=clip.identity,
            portrait=clip.frames[0],
            audio=clip.audio,
            other=clips[(index + 1) % len(clips)].audio,
            controls={name: getattr(clip, name) for name in attributes},
            picture=clip.frames,
            truth=FaceReading(rotation(torch.from_numpy(clip.pose)), expression, landmarks),
        )


def known_dubbings(
    people: list[int], seed: int, frames: int, size: int, attributes: tuple[str, ...] = (), staging: Staging = USUAL
) -> Iterator[KnownSpeech]:
    """The same speeches; beside each a video of the person that moves in the same way with the mouth of another speech.

    So the right result is known, and leaving the video as it is is wrong. A reference video with its own speech, as
    papers take it, would be its own best result.

    Args and errors as :func:`known_speech`.
    """
    clips = [render_clip(person, seed, frames, size, staging=staging) for person in people]
    columns = [EXPRESSIONS.index(name) for name in MOUTH]
    for index, case in enumerate(known_speech(people, seed, frames, size, attributes, staging)):
        expression = clips[index].expression.copy()
        expression[:, columns] = clips[(index + 1) % len(clips)].expression[:, columns]
        video, _ = drawn_as(case.identity, replace(clips[index], expression=expression), Framing(size, staging.framing))
        yield replace(case, task="dubbed", video=video, portrait=video[0])


def speech_systems(
    animator: Speaks, case: KnownSpeech, seed: int, edits: bool = False, asked: Mapping[str, Any] | None = None
) -> dict[str, Frames]:
    """What each of :data:`SYSTEMS` shows: the model, a still, its negative control, what its representation could do
    with the true motion, and the truth.

    Args:
        animator: the model.
        case: what it is to do; where there is a video to be dubbed, the copy is that video, unchanged.
        seed: of the model's draws.
        edits: whether the model's generator edits, so that it dubs where there is a video; the others move its first
            frame.
        asked: what else the model is asked for, such as ``{"mouth": 0.5}``.

    Returns:
        System → frames ``(T, H, W, 3)``.
    """

    def spoken(audio: NDArray[np.float32]) -> Frames:
        if edits and case.video is not None:
            return animator.redub(case.video, audio, mouth=(asked or {}).get("mouth"))  # nothing else counts in an edit
        told: dict[str, Any] = {name: case.controls.get(name) for name in TOLD} | dict(asked or {})
        animation = animator.animate(case.portrait, audio=audio, seed=seed, crop="none", **told)
        return np.concatenate([*animation.frames()])

    moved = drawn_after(animator, case.portrait, case.picture)
    copied = np.broadcast_to(case.portrait, case.picture.shape) if case.video is None else case.video
    return dict(zip(SYSTEMS, (spoken(case.audio), copied, spoken(case.other), moved, case.picture), strict=True))


def lip_opening(expression: Tensor) -> Tensor:
    """How far the lips are apart, ``(..., 16)`` → ``(...)``: jaw and half of the parting with teeth together.

    On true frames of unseen people at 64 px, what the face reader says of it correlates with the true distance of the
    inner lips by 0.96 (eight clips of 4 s).
    """
    opening: Tensor = expression[..., _JAW] + expression[..., _PART] / _TWICE
    return opening


def score_speech(predicted: Frames, truth: FaceReading) -> dict[str, float]:
    """Read predicted frames and compare with what they should show.

    Args:
        predicted: uint8 ``(T, H, W, 3)``, of any size.
        truth: of the true clip.

    Returns:
        Units in :data:`UNITS`: ``lip-correlation``, Pearson's, of the lip opening over time (0 for lips that never
        move); ``lip-opening``, see :func:`relative_opening`; ``pose-error``, the mean geodesic angle;
        ``location-error`` and ``scale-error``, mean absolute differences.

    Raises:
        ShapeError: when there are not as many frames as truths.
    """
    if len(predicted) != len(truth.rotation):
        raise ShapeError(f"{len(predicted)} frames were predicted, but the truth of {len(truth.rotation)} is known.")
    reading = read_faces(predicted)
    return {
        "lip-correlation": lip_correlation(reading.expression, truth.expression),
        "lip-opening": relative_opening(reading.expression, truth.expression),
        "pose-error": float(geodesic_angle(reading.rotation, truth.rotation).mean()),
        "location-error": float((reading.location - truth.location).abs().mean() * 100),
        "scale-error": float((reading.scale - truth.scale).abs().mean() * 100),
    }


def lip_correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's correlation of the lip opening of two expression tracks ``(T, 16)``; 0 for lips that never move."""
    first, second = lip_opening(first), lip_opening(second)
    first, second = first.double() - first.double().mean(), second.double() - second.double().mean()
    length = first.norm() * second.norm()
    return float(first @ second / length) if first.norm() > 1e-4 and second.norm() > 1e-4 else 0.0


def relative_opening(expression: Tensor, truth: Tensor) -> float:
    """How wide the mouth is in the fifth of the frames in which the true one is widest, in percent of that.

    Args:
        expression, truth: tracks ``(T, 16)``.

    Returns:
        100 for a mouth as wide as the true one, about 0 for a closed one; NaN where the true one never opens.
    """
    true = lip_opening(truth)
    wide = true >= true.quantile(WIDE)
    widest = float(true[wide].mean())
    return 100 * float(lip_opening(expression)[wide].mean()) / widest if widest > 1e-3 else float("nan")
