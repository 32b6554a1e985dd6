"""Stage 2 trains on a frozen stage 1, resumes exactly, and is exported together with it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import talkingface
from integration.generation_run import representation, run, task
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.core.tensors import read_tensors
from talkingface.hub import load_model
from talkingface.pipelines.export import export_checkpoint


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def stage1(tmp_path_factory):
    return representation(tmp_path_factory.mktemp("representation") / "stage1")


@pytest.fixture(scope="module")
def trained(stage1, tmp_path_factory):
    """A checkpoint of one epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        folder = tmp_path_factory.mktemp("trained")
        run(task(stage1), folder, 1, ema=True)
    return folder / "epoch=0.ckpt"


def difference(first, second):
    return [name for name in first if not torch.equal(first[name], second[name])]


def test_two_epochs_and_two_more_equal_four_bit_for_bit(stage1, tmp_path):
    straight = run(task(stage1), tmp_path / "straight", 4, ema=True)
    run(task(stage1), tmp_path / "parts", 2, ema=True)
    resumed = run(task(stage1), tmp_path / "parts", 4, checkpoint=tmp_path / "parts" / "epoch=1.ckpt", ema=True)
    assert difference(straight.lightning_module.state_dict(), resumed.lightning_module.state_dict()) == []
    saved = [read_tensors(tmp_path / name / "epoch=3.ckpt") for name in ("straight", "parts")]
    assert difference(saved[0]["state_dict"], saved[1]["state_dict"]) == []  # the averaged weights


def test_what_is_frozen_is_not_in_the_checkpoint(trained):
    content = read_tensors(trained)
    assert {name.split(".")[0] for name in content["state_dict"]} == {"audio_encoder", "motion_generator"}
    assert "hyper_parameters" not in content


def test_training_leaves_stage_1_as_it_is(stage1, tmp_path):
    module = task(stage1)
    before = {name: tensor.clone() for name, tensor in module.motion_encoder.state_dict().items()}
    run(module, tmp_path, 1)
    assert difference(before, module.motion_encoder.state_dict()) == []


def test_the_generator_knows_the_range_of_the_training_motion(trained):
    state = read_tensors(trained)["state_dict"]
    assert state["motion_generator.motion_range.known"]
    assert (state["motion_generator.motion_range.scale"] != 1).all()


def test_an_exported_model_speaks(trained, tmp_path):
    export_checkpoint(trained, tmp_path / "model")
    assert list(load_model(tmp_path / "model")) == ["motion_encoder", "renderer", "audio_encoder", "motion_generator"]
    assert 'audio="speech.wav"' in (tmp_path / "model" / "README.md").read_text()
    animator = talkingface.load(tmp_path / "model", "cpu")
    portrait, speech = np.full((64, 64, 3), 128, np.uint8), np.zeros(12 * 640, np.float32)
    spoken = [
        np.concatenate([*animator.animate(portrait, audio=speech, seed=seed, crop="none", steps=5).frames()])
        for seed in (0, 0, 1)
    ]
    assert spoken[0].shape == (12, 64, 64, 3)
    assert (spoken[0] == spoken[1]).all()
    assert (spoken[0] != spoken[2]).any()


def test_a_moved_representation_can_be_named(stage1, trained, tmp_path):
    content = torch.load(trained, weights_only=True)
    content["talkingface"]["representation"]["folder"] = str(tmp_path / "gone")
    torch.save(content, tmp_path / "moved.ckpt")
    with pytest.raises(WeightsError, match=r"which is not there\. Name its model folder by '--representation DIR'"):
        export_checkpoint(tmp_path / "moved.ckpt", tmp_path / "model")
    shutil.copytree(stage1, tmp_path / "here")
    export_checkpoint(tmp_path / "moved.ckpt", tmp_path / "model", tmp_path / "here")
    assert (tmp_path / "model" / "motion_generator").is_dir()


def test_another_representation_is_refused(trained, tmp_path):
    other = representation(tmp_path / "other", seed=1)
    with pytest.raises(WeightsError, match="its motion encoder has other weights"):
        export_checkpoint(trained, tmp_path / "model", other)


def test_an_unknown_loss_is_refused_with_those_that_there_are(stage1, tmp_path):
    with pytest.raises(ConfigError, match="ConformerDiffusion has no loss 'posee'; it has: pose"):
        run(task(stage1, loss_weights={"posee": 1.0}), tmp_path, 1)


def test_a_loss_of_weight_0_does_not_count(stage1, tmp_path):
    logged = [
        run(task(stage1, 0.0, loss_weights=weights), tmp_path / str(index), 1).callback_metrics
        for index, weights in enumerate([{}, {"pose": 0.0, "location": 0.0, "scale": 0.0}])
    ]
    names = ("diffusion", "pose", "location", "scale")
    assert float(logged[0]["val/loss"]) == pytest.approx(sum(float(logged[0][f"val/{name}"]) for name in names))
    assert float(logged[1]["val/loss"]) == pytest.approx(float(logged[1]["val/diffusion"]))


def test_another_clips_speech_is_judged_beside_the_right_one(stage1, tmp_path):
    values = run(task(stage1, 0.0), tmp_path, 1).callback_metrics
    assert values["val/loss"] != values["val/loss_shuffled"]


def test_a_representation_without_motion_encoder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no model folder"):
        task(tmp_path / "nothing")


def test_two_processes_train_the_same_model(tmp_path):
    representation(tmp_path / "stage1")
    script = Path(__file__).with_name("generation_run.py")
    subprocess.run([sys.executable, str(script), str(tmp_path), "2"], check=True, timeout=300)
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert ranks[0] == ranks[1]
    assert ranks[0]["steps"] == 4  # four clips, two windows each, two a step in each of two processes, two epochs
