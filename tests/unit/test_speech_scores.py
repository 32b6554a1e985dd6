"""Speech of synthetic people is scored against what they really did."""

import numpy as np
import pytest
import torch

from talkingface.audio import MelSpeech
from talkingface.bench.reenactment import scored_systems, write_side_by_side
from talkingface.bench.speaking import judge_speech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import EXPRESSIONS, Staging
from talkingface.evaluation.scoring import Extractors, Scorer
from talkingface.evaluation.speech import SYSTEMS, known_speech, lip_opening, score_speech
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LatentMotion
from talkingface.pipelines import Animator
from talkingface.renderers import LIARenderer

PEOPLE, SEED, FRAMES = [1_000_000, 1_000_001], 5, 40


@pytest.fixture(scope="module")
def cases():
    return list(known_speech(PEOPLE, SEED, FRAMES, 64))


def animator(attributes):
    torch.manual_seed(0)
    motion = LatentMotion(size=64, width=0.0625, code_dim=32, dim=4)
    audio = MelSpeech(dim=8, blocks=0)
    settings = {"dim": 24, "blocks": 1, "static": 4, "hidden": 4}
    generator = ConformerDiffusion(motion, audio, attributes=attributes, **settings)
    return Animator(motion, LIARenderer(motion, size=64, width=0.0625), audio, generator, device="cpu")


def test_the_true_clip_has_the_lips_of_the_truth(cases):
    for case in cases:
        scores = score_speech(case.picture, case.truth)
        assert scores["lip-correlation"] > 0.9
        assert scores["pose-error"] < 5
        assert scores["location-error"] < 2


def test_another_persons_clip_has_not(cases):
    first, second = cases
    assert score_speech(second.picture, first.truth)["lip-correlation"] < 0.6
    assert score_speech(second.picture, first.truth)["pose-error"] > 5


def test_lips_that_never_move_correlate_with_nothing(cases):
    still = np.broadcast_to(cases[0].portrait, cases[0].picture.shape)
    assert score_speech(still, cases[0].truth)["lip-correlation"] == 0


def test_an_open_jaw_counts_twice_as_much_as_parted_lips():
    expression = torch.zeros(2, len(EXPRESSIONS))
    expression[0, EXPRESSIONS.index("jaw")] = 1
    expression[1, EXPRESSIONS.index("lip_part")] = 1
    assert lip_opening(expression).tolist() == [1.0, 0.5]


def test_only_what_is_asked_for_is_told(cases):
    assert cases[0].controls == {}
    told = next(known_speech(PEOPLE, SEED, FRAMES, 64, ("pose", "scale")))
    assert {name: track.shape for name, track in told.controls.items()} == {"pose": (FRAMES, 3), "scale": (FRAMES,)}


def test_the_control_hears_another_person(cases):
    assert (cases[0].other == cases[1].audio).all()
    assert (cases[0].other != cases[0].audio).any()
    assert cases[0].audio.shape == (FRAMES * 640,)


def test_too_few_frames_or_people_are_refused(cases):
    with pytest.raises(ShapeError, match="3 frames were predicted"):
        score_speech(cases[0].picture[:3], cases[0].truth)
    with pytest.raises(ConfigError, match="2 people"):
        next(known_speech(PEOPLE[:1], SEED, FRAMES, 64))


@pytest.mark.parametrize(("attributes", "tasks"), [(["pose"], {"speech", "told"}), ([], {"speech"})])
def test_a_model_is_judged_beside_its_controls(attributes, tasks, tmp_path):
    wanted = ("speech", "told")
    scorer = Scorer(("psnr",), Extractors("cpu"), scored_systems(wanted))
    judged = list(judge_speech(animator(attributes), wanted, PEOPLE, SEED, 16, scorer, Staging()))
    assert {one.case.task for one in judged} == tasks
    for one in judged:
        rows = {row["system"]: row for row in one.rows}
        assert set(rows) == set(SYSTEMS)
        assert rows["ground truth"]["psnr"] == 100
        assert (one.drawn["model"] != one.drawn["shuffled"]).any()
    write_side_by_side(tmp_path / "one.mp4", judged[0])
    with VideoReader(tmp_path / "one.mp4") as reader:
        assert (len(reader), reader.info.audio) == (16, True)
