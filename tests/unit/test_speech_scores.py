"""Speech of synthetic people is scored against what they really did."""

import numpy as np
import pytest
import torch

from talkingface.audio import MelSpeech
from talkingface.bench.reenactment import scored_systems, write_side_by_side
from talkingface.bench.speaking import judge_speech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import EXPRESSIONS, USUAL, Staging
from talkingface.evaluation.scoring import Extractors, Scorer
from talkingface.evaluation.speech import (
    SYSTEMS,
    known_dubbings,
    known_speech,
    lip_opening,
    relative_opening,
    score_speech,
)
from talkingface.generators import Audio2Exp, ConformerDiffusion
from talkingface.motion import LatentMotion, LivePortraitMotion
from talkingface.pipelines import Animator
from talkingface.renderers import FaceVid2VidRenderer, LIARenderer

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


def test_a_mouth_as_wide_as_the_true_one_is_a_hundred_and_a_closed_one_nothing():
    truth = torch.zeros(10, len(EXPRESSIONS))
    truth[:, EXPRESSIONS.index("jaw")] = torch.linspace(0, 1, 10)
    assert relative_opening(truth, truth) == pytest.approx(100)
    assert relative_opening(truth / 2, truth) == pytest.approx(50)
    assert relative_opening(0 * truth, truth) == 0
    assert np.isnan(relative_opening(truth, 0 * truth))


def test_the_true_clip_opens_the_mouth_as_far_as_the_truth_and_a_still_does_not(cases):
    for case in cases:
        assert 75 < score_speech(case.picture, case.truth)["lip-opening"] < 125
        still = np.broadcast_to(case.portrait, case.picture.shape)
        assert score_speech(still, case.truth)["lip-opening"] < 60


def test_a_video_to_be_dubbed_moves_as_the_truth_with_the_mouth_of_another_speech():
    for case in known_dubbings(PEOPLE, SEED, FRAMES, 64, ("pose",)):
        asis, right = score_speech(case.video, case.truth), score_speech(case.picture, case.truth)
        assert asis["pose-error"] < 5
        assert asis["lip-correlation"] < 0.6 < 0.9 < right["lip-correlation"]
        assert set(case.controls) == {"pose"}


def test_an_editor_dubs_the_video_and_the_copy_is_the_video_as_it_is():
    torch.manual_seed(0)
    motion = LivePortraitMotion(keypoints=21, size=64, width=0.125)
    audio = MelSpeech(dim=8, blocks=0)
    editor = Audio2Exp(motion, audio)
    torch.nn.init.normal_(editor.zero.weight)
    parts = motion, FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=4), audio, editor
    model, tasks = Animator(*parts, device="cpu"), ("speech", "dubbed")
    scorer = Scorer(("psnr",), Extractors("cpu"), scored_systems(tasks))
    (still, _, first, _), (spoken, _, second, _) = (
        list(judge_speech(model, tasks, PEOPLE, SEED, 9, scorer, USUAL, {"mouth": mouth})) for mouth in (0.0, 2.0)
    )
    assert (still.drawn["model"] != spoken.drawn["model"]).any()
    assert (first.drawn["copy the source"] == first.case.video).all()
    assert (first.drawn["model"] != second.drawn["model"]).any()
    assert first.drawn["model"].shape == first.case.video.shape
    assert (first.drawn["model"] == first.drawn["shuffled"]).all()  # what is not spoken is closed, whatever is heard
    with pytest.raises(ShapeError, match="there are 8 frames, and speech for 9"):
        model.redub(first.case.video[:8], first.case.audio)


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
