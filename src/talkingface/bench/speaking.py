"""A model that speaks, judged on synthetic people that it has never seen."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from talkingface.bench.reenactment import Judged, score_case
from talkingface.data.synthetic import Staging
from talkingface.evaluation.scoring import Scorer
from talkingface.evaluation.speech import TOLD, known_dubbings, known_speech, score_speech, speech_systems
from talkingface.pipelines.animator import Animator


def judge_speech(
    animator: Animator,
    tasks: Sequence[str],
    people: list[int],
    seed: int,
    frames: int,
    scorer: Scorer,
    staging: Staging,
    asked: Mapping[str, float] | None = None,
) -> Iterator[Judged]:
    """Let each person speak, in memory: no number goes through a codec.

    Args:
        animator: the model, with a motion generator.
        tasks: some of ``"speech"``, ``"told"`` and ``"dubbed"``; a generator without attributes can be told nothing
            more than speech. Dubbing, an editor keeps the video's motion, and the others are told it.
        people: identities, best unseen ones; at least two.
        seed: of the clips and of what the generator draws.
        frames: length of a clip, at 25 fps; at least two.
        scorer: made for the systems of these tasks.
        staging: how they are filmed, best as for the training of the model.
        asked: what else it is asked for, such as ``{"mouth": 0.5}``.
    """
    assert animator.motion_generator is not None
    generator, size = animator.motion_generator, animator.renderer.size
    for task in tasks:
        attributes = tuple(name for name in generator.attributes if task != "speech" and name in TOLD)
        if task == "told" and not attributes:
            continue
        known_cases = known_dubbings if task == "dubbed" else known_speech
        for case in known_cases(people, seed, frames, size, attributes, staging):
            known = partial(score_speech, truth=case.truth)
            yield score_case(case, speech_systems(animator, case, seed, generator.edits, asked), scorer, known)
