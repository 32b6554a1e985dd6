"""The demo end to end, with next to no training."""

import re

import pytest

from talkingface.bench.demo import run_demo
from talkingface.bench.reenactment import cross_reenactment, score, self_reenactment
from talkingface.cli.recipes import recipes
from talkingface.core.media import VideoReader
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
    return Animator(encoder, LIARenderer(encoder, size=64, width=0.0625), "cpu")


def test_the_demo_writes_one_page_with_videos_curves_and_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    options = [part for name, value in QUICK.items() for part in (f"--{name}", str(value))]
    options += ["--data.val_pairs_per_clip", "2"]
    text = run_demo(tmp_path / "demo", recipes()["anitalker-tiny"], options).read_text()
    assert len(re.findall("data:video/mp4", text)) == 4  # two unseen people: two self, two cross
    assert "copy the source" in text
    assert "shuffled" in text
    assert "<polyline" in text
    assert "class_path: talkingface.motion.LatentMotion" in text  # the settings used
    assert len(VideoReader(tmp_path / "demo" / "self0.mp4")) == 74
    assert (tmp_path / "demo" / "model" / "model_index.json").is_file()

    weights = tmp_path / "demo" / "model" / "renderer" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    run_demo(tmp_path / "demo", recipes()["anitalker-tiny"], options)  # again: nothing is trained a second time
    assert weights.stat().st_mtime_ns == before
    run_demo(tmp_path / "demo", recipes()["anitalker-tiny"], [*options, "--model.motion_encoder.dim", "10"])
    assert weights.stat().st_mtime_ns != before


def test_self_reenactment_is_judged_against_the_clip_without_the_portraits_own_frame(animator):
    (one,) = self_reenactment(animator, [3], seed=1, frames=4)
    assert len(one.driving) == 3
    assert (one.rows["truth"] == one.driving).all()
    assert all((frame != one.portrait).any() for frame in one.rows["truth"])
    assert all((frame == one.portrait).all() for frame in one.rows["copy"])


def test_the_truth_of_cross_reenactment_is_the_portraits_person_in_the_drivers_pose(animator):
    one = next(cross_reenactment(animator, [3, 4], seed=1, frames=3))
    own = next(self_reenactment(animator, [3], seed=1, frames=3))
    assert (one.portrait == own.portrait).all()
    truth, driving, portrait = (picture.astype(float) for picture in (one.rows["truth"], one.driving, one.portrait))
    corner = slice(0, 6)  # the background belongs to the person, not to the movement
    assert abs(truth[:, corner, corner] - portrait[corner, corner]).mean() < 8
    assert abs(truth[:, corner, corner] - driving[:, corner, corner]).mean() > 8


def test_scores_put_the_truth_first(animator):
    table = score(list(self_reenactment(animator, [3, 4], seed=1, frames=3)))
    assert table["truth"] == {"psnr": 100.0, "ssim": 1.0}
    assert max(table[row]["psnr"] for row in ("copy", "model", "shuffled")) < 100
