"""Whether emotions that are asked for are shown: on synthetic people, whose true expressions are known."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.data.synthetic import EMOTIONS, USUAL, Staging, SyntheticClip, emotion_offset, render_clip
from talkingface.evaluation.face_reader import read_faces, readable
from talkingface.evaluation.speech import lip_correlation
from talkingface.evaluation.synthetic import Frames, SizedRenderer

NEUTRAL, *MOODS = EMOTIONS
STRENGTHS = (0.5, 1.0, 1.5)
MEAN_INTENSITY = 2  # of clips whose intensity is drawn from 1, 2 and 3


class Feels(Protocol):
    """What is asked of a model; :class:`talkingface.Animator` with a generator that knows emotions is one."""

    @property
    def renderer(self) -> SizedRenderer:
        """Says at which size it draws."""

    def animate(
        self,
        source: Frames,
        /,
        *,
        audio: NDArray[np.float32],
        seed: int,
        crop: Literal["none"],
        emotion: str,
        strength: float,
    ) -> "Shown":
        """Make a portrait speak with an emotion."""


class Shown(Protocol):
    """An animation."""

    def frames(self) -> Iterator[Frames]:
        """Its frames, ``(n, size, size, 3)`` at a time."""


def true_offsets() -> dict[str, Tensor]:
    """What each emotion but neutral adds to the expression parameters of a clip of mean intensity, ``(16,)``."""
    return {name: torch.from_numpy(emotion_offset(name, MEAN_INTENSITY)) for name in MOODS}


def score_change(change: Tensor, asked: str, offsets: Mapping[str, Tensor]) -> dict[str, float]:
    """How much a change of expression is the one that was asked for.

    Args:
        change: mean expression less the mean neutral one, ``(E,)``.
        asked: an emotion.
        offsets: the true change of each emotion, ``(E,)``.

    Returns:
        ``amount``, the share of the true change that is there, 1 for all of it; ``direction``, the cosine with the
        true change; ``recognised``, 1 where that is above 0 and no other emotion's is larger, else 0.
    """
    cosines = {name: float(torch.cosine_similarity(change, offset, dim=0)) for name, offset in offsets.items()}
    amount = float(change @ offsets[asked] / offsets[asked].square().sum())
    recognised = cosines[asked] > 0 and cosines[asked] == max(cosines.values())
    return {"amount": amount, "direction": cosines[asked], "recognised": float(recognised)}


def emotion_scores(
    animator: Feels, people: list[int], seed: int, frames: int, staging: Staging = USUAL
) -> list[dict[str, Any]]:
    """From one neutral portrait and one speech of each person: every emotion in several strengths.

    Args:
        animator: the model.
        people: identities, best unseen ones.
        seed: of the clips and of the model's draws.
        frames: length of a clip, at 25 fps.
        staging: how they are filmed, best as for the training of the model.

    Returns:
        Rows with ``identity``, ``emotion``, ``strength`` and what :func:`score_change` gives of the parameters that can
        be read, against the same speech told to be neutral; and ``lip-correlation`` with the true lips. The rows
        ``neutral`` have only that.
    """
    clips = [render_clip(person, seed, frames, animator.renderer.size, "neutral", staging=staging) for person in people]
    return [row for clip in clips for row in _scores_of(animator, clip, seed)]


def _scores_of(animator: Feels, clip: SyntheticClip, seed: int) -> Iterator[dict[str, Any]]:
    offsets = {name: readable(offset) for name, offset in true_offsets().items()}
    truth = torch.from_numpy(clip.expression)

    def shown(emotion: str, strength: float) -> Tensor:
        spoken = animator.animate(
            clip.frames[0], audio=clip.audio, seed=seed, crop="none", emotion=emotion, strength=strength
        )
        return read_faces(np.concatenate([*spoken.frames()])).expression

    neutral = shown(NEUTRAL, 1.0)
    row = {"identity": clip.identity, "emotion": NEUTRAL, "strength": 1.0}
    yield row | {"lip-correlation": lip_correlation(neutral, truth)}
    for emotion in MOODS:
        for strength in STRENGTHS:
            felt = shown(emotion, strength)
            row = {"identity": clip.identity, "emotion": emotion, "strength": strength}
            row |= score_change(readable(felt - neutral).mean(0), emotion, offsets)
            yield row | {"lip-correlation": lip_correlation(felt, truth)}
