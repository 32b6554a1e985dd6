"""A model that speaks, judged on synthetic people that it has never seen."""

from collections.abc import Iterator, Sequence
from functools import partial

from talkingface.bench.reenactment import Judged, score_case
from talkingface.data.synthetic import Staging
from talkingface.evaluation.scoring import Scorer
from talkingface.evaluation.speech import TOLD, known_speech, score_speech, speech_systems
from talkingface.pipelines.animator import Animator


def judge_speech(
    animator: Animator,
    tasks: Sequence[str],
    people: list[int],
    seed: int,
    frames: int,
    scorer: Scorer,
    staging: Staging,
) -> Iterator[Judged]:
    """Let each person speak, in memory: no number goes through a codec.

    Args:
        animator: the model, with a motion generator.
        tasks: ``"speech"``, ``"told"`` or both; a generator without attributes can be told nothing more than speech.
        people: identities, best unseen ones; at least two.
        seed: of the clips and of what the generator draws.
        frames: length of a clip, at 25 fps; at least two.
        scorer: made for the systems of these tasks.
        staging: how they are filmed, best as for the training of the model.
    """
    assert animator.motion_generator is not None
    for task in tasks:
        attributes = tuple(name for name in animator.motion_generator.attributes if task == "told" and name in TOLD)
        if task == "told" and not attributes:
            continue
        for case in known_speech(people, seed, frames, animator.renderer.size, attributes, staging):
            known = partial(score_speech, truth=case.truth)
            yield score_case(case, speech_systems(animator, case, seed), scorer, known)
