"""A model judged on synthetic people that it has never seen: the frames of every system scored beside the truth."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from talkingface.bench.columns import REENACTMENT
from talkingface.core.media import VideoWriter
from talkingface.core.records import ClipPrediction
from talkingface.data.synthetic import Staging
from talkingface.evaluation import speech
from talkingface.evaluation.scoring import Scorer
from talkingface.evaluation.synthetic import (
    SYSTEMS,
    Frames,
    KnownReenactment,
    cross_reenactments,
    score_frames,
    self_reenactments,
    systems,
)
from talkingface.metrics import ScoredClip, Track
from talkingface.pipelines.animator import Animator

TASKS = {"self": self_reenactments, "cross": cross_reenactments}
WIDTH = 192  # pixels of each picture in a video; 64 are hard to see


Case = KnownReenactment | speech.KnownSpeech


@dataclass(frozen=True)
class Judged:
    """One reenactment or one speech, what each system made of it, and the scores.

    Args:
        case: the portrait, what drives it, and the truth.
        drawn: system → frames ``(T, H, W, 3)``.
        rows: one for each system, with ``task``, ``system``, ``clip``, ``identity`` and the scores.
    """

    case: Case
    drawn: dict[str, Frames]
    rows: list[dict[str, Any]]


def scored_systems(tasks: Iterable[str]) -> tuple[str, ...]:
    """What a scorer calls the systems of some tasks."""
    return tuple(
        f"{task}/{system}" for task in tasks for system in (SYSTEMS if task in REENACTMENT else speech.SYSTEMS)
    )


def judge(
    animator: Animator, people: list[int], seed: int, frames: int, scorer: Scorer, staging: Staging, truth: bool = True
) -> Iterator[Judged]:
    """Self-reenactment of each person, then cross-reenactment, in memory: no number goes through a codec.

    Args:
        animator: the model.
        people: identities, best unseen ones; at least two.
        seed: of the clips.
        frames: length of a clip, at 25 fps; at least two.
        scorer: made for :func:`scored_systems`.
        staging: how they are filmed, best as for the training of the model.
        truth: whether motion transfer error and leakage are read from the frames too.
    """
    for task, reenactments in TASKS.items():
        for case in reenactments(people, seed, frames, animator.renderer.size, staging):
            kept = case.portrait_expression if task == "cross" else None
            known = partial(score_frames, truth=case.truth, portrait_expression=kept) if truth else None
            yield score_case(case, systems(animator, case), scorer, known)


def score_case(
    case: Case, drawn: dict[str, Frames], scorer: Scorer, known: Callable[[Frames], dict[str, float]] | None
) -> Judged:
    """Score what each system made of one case.

    Args:
        case: what was to be shown.
        drawn: system → frames.
        scorer: made for the systems of the case's task.
        known: scores frames against what is true of them; ``None`` where that is not asked for.
    """
    rows = []
    for system, clip in _scored_clips(case, drawn, scorer):
        row = scorer.score(f"{case.task}/{system}", clip, {"identity": str(case.identity)})
        row |= known(drawn[system]) if known else {}
        rows.append(row | {"task": case.task, "system": system})
    return Judged(case, drawn, rows)


def write_side_by_side(path: Path, judged: Judged) -> None:
    """Write portrait | driving | output | true picture as a video; speech has sound, and a video only to be dubbed.

    Args:
        path: the file.
        judged: what to show.
    """
    case = judged.case
    times = max(1, WIDTH // case.portrait.shape[1])
    if isinstance(case, speech.KnownSpeech):
        given = [] if case.video is None else [case.video]
        columns, audio = [*given, judged.drawn["model"], case.picture], case.audio
    else:
        columns, audio = [case.driving, judged.drawn["model"], case.picture], None
    with VideoWriter(path, audio=audio) as writer:
        for pictures in zip(*columns, strict=True):
            row = np.concatenate([case.portrait, *pictures], axis=1)
            writer.write(row.repeat(times, 0).repeat(times, 1))


def _scored_clips(case: Case, drawn: dict[str, Frames], scorer: Scorer) -> Iterator[tuple[str, ScoredClip]]:
    """Every system's frames beside the same target, whose features are looked for once."""
    picture, portrait = _stack(case.picture), _stack(case.portrait[None])[0]
    audio = torch.from_numpy(case.audio) if isinstance(case, speech.KnownSpeech) else None
    prediction = ClipPrediction(case.clip, _stack(drawn["model"]), picture, portrait, audio)
    model = ScoredClip.of(prediction, scorer.extractors)
    assert model.target is not None
    for system in drawn:
        if system == "model":
            yield system, model
        elif system == "ground truth":
            yield system, model.with_video(model.target.select(range(len(picture))))
        else:
            yield system, model.with_video(Track(_stack(drawn[system]), scorer.extractors))


def _stack(frames: Frames) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3)
