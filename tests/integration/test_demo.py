"""The demo end to end, with next to no training."""

import re

import pytest

from talkingface.bench.demo import run_demo
from talkingface.bench.reenactment import TASKS, judge, scored_systems
from talkingface.cli.recipes import recipes
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import USUAL
from talkingface.evaluation.scoring import Extractors, Scorer
from talkingface.motion import LatentMotion
from talkingface.pipelines.animator import Animator
from talkingface.renderers import LIARenderer

QUICK = {
    "trainer.max_epochs": 2,
    "trainer.log_every_n_steps": 10,
    "data.identities": 20,
    "data.clips_per_identity": 1,
    "data.frames": 4,
    "data.pairs_per_clip": 8,
}


@pytest.fixture(scope="module")
def animator():
    encoder = LatentMotion(size=64, width=0.0625, code_dim=32)
    return Animator(encoder, LIARenderer(encoder, size=64, width=0.0625), device="cpu")


def test_the_demo_writes_one_page_with_videos_curves_and_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    options = [part for name, value in QUICK.items() for part in (f"--{name}", str(value))]
    options += ["--data.val_pairs_per_clip", "2"]
    text = run_demo(tmp_path / "demo", recipes()["anitalker-tiny-stage1"], options).read_text()
    assert len(re.findall("data:video/mp4", text)) == 4  # two unseen people: two self, two cross
    assert "copy the source" in text
    assert "shuffled" in text
    assert "<polyline" in text
    assert "class_path: talkingface.motion.LatentMotion" in text  # the settings used
    assert len(VideoReader(tmp_path / "demo" / "self0.mp4")) == 74
    assert (tmp_path / "demo" / "model" / "model_index.json").is_file()

    weights = tmp_path / "demo" / "model" / "renderer" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    run_demo(tmp_path / "demo", recipes()["anitalker-tiny-stage1"], options)  # again: nothing is trained a second time
    assert weights.stat().st_mtime_ns == before
    run_demo(tmp_path / "demo", recipes()["anitalker-tiny-stage1"], [*options, "--model.motion_encoder.dim", "10"])
    assert weights.stat().st_mtime_ns != before


@pytest.fixture(scope="module")
def judged(animator):
    scorer = Scorer(("psnr", "ssim"), Extractors("cpu"), scored_systems(TASKS))
    return list(judge(animator, [3, 4], seed=1, frames=4, scorer=scorer, staging=USUAL))


def test_self_reenactment_is_judged_against_the_clip_without_the_portraits_own_frame(judged):
    one = judged[0]
    assert one.case.task == "self"
    assert len(one.case.driving) == 3
    assert (one.drawn["ground truth"] == one.case.driving).all()
    assert all((frame != one.case.portrait).any() for frame in one.drawn["ground truth"])
    assert all((frame == one.case.portrait).all() for frame in one.drawn["copy the source"])


def test_the_truth_of_cross_reenactment_is_the_portraits_person_in_the_drivers_pose(judged):
    case = judged[2].case
    assert case.task == "cross"
    truth, driving, portrait = (picture.astype(float) for picture in (case.picture, case.driving, case.portrait))
    corner = slice(0, 6)  # the background belongs to the person, not to the movement
    assert abs(truth[:, corner, corner] - portrait[corner, corner]).mean() < 8
    assert abs(truth[:, corner, corner] - driving[:, corner, corner]).mean() > 8


def test_scores_put_the_truth_first(judged):
    for one in judged:
        rows = {row["system"]: row for row in one.rows}
        assert (rows["ground truth"]["psnr"], rows["ground truth"]["ssim"]) == (100.0, 1.0)
        assert max(rows[system]["psnr"] for system in ("copy the source", "model", "shuffled")) < 100
        assert rows["ground truth"]["landmark-error"] < rows["model"]["landmark-error"]  # an untrained model
