"""Every YAML that ships: it parses, its parts build, the tiny one runs."""

from pathlib import Path

import pytest
import torch
import yaml

from talkingface import registry
from talkingface.cli.main import main
from talkingface.cli.recipes import config_folders, recipes
from talkingface.core.component import build
from talkingface.core.media import read_picture
from talkingface.data.synthetic import EMOTIONS
from talkingface.hub import save_model
from talkingface.losses import SyncExpert
from talkingface.motion import LivePortraitMotion
from talkingface.renderers import FaceVid2VidRenderer

CONFIGS = next(config_folders())
YAMLS = [path for path in CONFIGS.rglob("*.yaml") if path.parent.name not in ("recipes", "bench")]
LAYERS = [path.relative_to(CONFIGS.parent) for path in YAMLS]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.chdir(tmp_path)


def configuration(capsys, *arguments):
    assert main(["fit", *arguments, "--print_config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


STAGE2 = [name for name in sorted(recipes()) if name.endswith("-stage2")]
EXPERTS = [name for name in sorted(recipes()) if name.startswith("sync-expert")]
EDITORS = [name for name in sorted(recipes()) if name.startswith("controltalk")]
STAGE1 = [name for name in sorted(recipes()) if name not in (*STAGE2, *EXPERTS, *EDITORS)]


@pytest.mark.parametrize("name", STAGE1)
def test_a_recipe_of_stage_1_is_complete(name, capsys):
    config = configuration(capsys, "-c", name)
    assert config["seed_everything"] == 0
    assert config["model"]["class_path"] == registry.path("task", "reconstruction")
    assert config["model"]["init_args"]["loss_weights"]


@pytest.mark.parametrize("name", STAGE2)
def test_a_recipe_of_stage_2_is_complete(name, capsys):
    config = configuration(capsys, "-c", name)
    assert config["seed_everything"] == 0
    assert config["model"]["class_path"] == registry.path("task", "generation")
    assert config["trainer"]["gradient_clip_val"] == 1.0


@pytest.mark.parametrize("name", EXPERTS)
def test_a_recipe_of_a_sync_expert_is_complete(name, capsys):
    config = configuration(capsys, "-c", name)
    assert config["seed_everything"] == 0
    assert config["model"]["class_path"] == registry.path("task", "synchrony")
    assert build(config["model"]["init_args"]["expert"]).see(torch.zeros(2, 5, 3, 96, 96)).ndim == 2
    assert config["data"]["init_args"]["size"] == 96


@pytest.mark.parametrize(("name", "first"), zip(EDITORS, ["facevid2vid", "takin-ada-tiny-stage1"], strict=True))
def test_a_recipe_of_an_editor_is_complete_and_fits_its_stage_1(name, first, capsys):
    config, stage1 = configuration(capsys, "-c", name), configuration(capsys, "-c", first)
    assert config["seed_everything"] == 0
    assert config["model"]["class_path"] == registry.path("task", "editing")
    parts = config["model"]["init_args"]
    assert parts["loss_weights"]["sync"] == 0.3  # section 4.3
    with torch.device("meta"):
        motion, audio = build(stage1["model"]["init_args"]["motion_encoder"]), build(parts["audio_encoder"])
        editor = build(parts["motion_generator"], motion, audio)
    assert editor.attributes == ("mouth",)
    assert config["data"]["init_args"]["size"] == stage1["data"]["init_args"]["size"]


@pytest.mark.parametrize("name", STAGE1)
def test_the_parts_of_a_recipe_fit_together(name, capsys):
    parts = configuration(capsys, "-c", name)["model"]["init_args"]
    # Shapes without memory where that is possible; a spectral norm is measured when it is built.
    spectral = parts["renderer"]["class_path"] == registry.path("renderer", "facevid2vid")
    with torch.device("cpu" if spectral else "meta"):
        motion = build(parts["motion_encoder"])
        renderer = build(parts["renderer"], motion)
    seen = motion.size if motion.image_encoder is None else motion.image_encoder.size
    assert getattr(renderer, "input_size", renderer.size) == seen
    assert configuration(capsys, "-c", name)["data"]["init_args"]["size"] == renderer.size
    if parts["discriminator"]:
        assert parts["discriminator"]["init_args"].get("size", renderer.size) == renderer.size  # patches fit any size


@pytest.mark.parametrize("name", STAGE2)
def test_stage_2_fits_the_stage_1_of_its_name(name, capsys):
    first = configuration(capsys, "-c", name.replace("stage2", "stage1"))
    second = configuration(capsys, "-c", name)
    parts = second["model"]["init_args"]
    with torch.device("meta"):
        motion = build(first["model"]["init_args"]["motion_encoder"])
        audio = build(parts["audio_encoder"])
        generator = build(parts["motion_generator"], motion, audio)
    seen = motion.size if motion.image_encoder is None else motion.image_encoder.size
    assert second["data"]["init_args"]["size"] == seen
    told = ("location", "scale", "pose", "emotion") if name.startswith("takin-ada") else ("location", "scale", "pose")
    assert generator.attributes == told
    assert isinstance(generator.fuse, torch.nn.Identity)  # dim is the width of what the frames are told


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_layer_can_be_laid_over_a_recipe(layer, capsys):
    plain = configuration(capsys, "-c", "anitalker-tiny-stage1")
    layered = configuration(capsys, "-c", "anitalker-tiny-stage1", "-c", str(layer))
    assert layered != plain


def test_the_paper_sizes_are_the_papers():
    model = yaml.safe_load(recipes()["anitalker-stage1"].read_text())["model"]["init_args"]
    assert model["loss_weights"] == {
        "l1": 1.0,
        "perceptual": 0.1,
        "adversarial": 1.0,
        "mutual_information": 0.1,
        "metric": 0.1,
    }
    with torch.device("meta"):
        motion = build(model["motion_encoder"])
        renderer = build(model["renderer"], motion)
    # the released network has 46.92 M; 3 + 1,539 + 13 of them never take part and are not ours
    ours = sum(p.numel() for part in (motion, renderer) for p in part.parameters())
    assert ours == pytest.approx(46_923_173, rel=1e-3)


def test_the_paper_sizes_of_stage_2_are_the_papers():
    model = yaml.safe_load(recipes()["anitalker-stage2"].read_text())["model"]["init_args"]
    with torch.device("meta"):
        motion = build({"class_path": "talkingface.motion.LatentMotion"})
        audio = build(model["audio_encoder"])
        generator = build(model["motion_generator"], motion, audio)
    # hubert_full_control as released
    assert sum(p.numel() for part in (audio, generator) for p in part.parameters()) == 41_753_394


def test_the_released_sizes_of_controltalk_are_its_own():
    model = yaml.safe_load(recipes()["controltalk"].read_text())["model"]["init_args"]
    with torch.device("meta"):
        motion = build({"class_path": "talkingface.motion.FaceVid2VidMotion"})
        audio = build(model["audio_encoder"])
        editor = build(model["motion_generator"], motion, audio)
    assert sum(p.numel() for part in (audio, editor) for p in part.parameters()) == 47_514_646


def test_the_paper_sizes_of_takin_ada_are_the_papers():
    model = yaml.safe_load(recipes()["takin-ada-stage2"].read_text())["model"]["init_args"]
    with torch.device("meta"):
        motion = build({"class_path": "talkingface.motion.LivePortraitMotion"})
        audio = build(model["audio_encoder"])
        generator = build(model["motion_generator"], motion, audio)
    assert (len(audio.conformer.blocks), len(generator.conformer.blocks)) == (4, 8)
    assert sorted(generator.emotion.names) == sorted(EMOTIONS)


@pytest.mark.parametrize("name", ["anitalker-tiny-stage1", "takin-ada-tiny-stage1"])
def test_the_tiny_recipe_runs(name, capsys):
    small = ["--data.identities", "6", "--data.frames", "3", "--data.clips_per_identity", "1"]
    assert main(["fit", "-c", name, *small, "--trainer.fast_dev_run", "2"]) == 0


def test_the_tiny_sync_expert_runs(capsys):
    few = ["--data.identities", "6", "--data.clips_per_identity", "1", "--data.clip_frames", "40"]
    small = ["--data.size", "32", "--data.batch_size", "4", "--model.expert.width", "0.03125"]
    assert main(["fit", "-c", "sync-expert-tiny", *few, *small, "--trainer.fast_dev_run", "2"]) == 0


def test_the_tiny_editor_runs(tmp_path, capsys):
    motion = LivePortraitMotion(keypoints=21, size=64, width=0.125)
    renderer = FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=4)
    save_model(tmp_path / "stage1", {"motion_encoder": motion, "renderer": renderer}, {})
    save_model(tmp_path / "expert", {"sync_expert": SyncExpert(width=0.0625)}, {})
    parts = ["--model.representation", str(tmp_path / "stage1"), "--model.sync.expert", str(tmp_path / "expert")]
    few = ["--data.identities", "6", "--data.clips_per_identity", "1", "--data.clip_frames", "40"]
    small = ["--data.batch_size", "2", "--data.val_windows_per_clip", "1", "--trainer.fast_dev_run", "2"]
    assert main(["fit", "-c", "controltalk-tiny", *parts, *few, *small]) == 0


def test_a_recipe_is_found_in_the_checkout():
    assert Path(recipes()["lia"]).is_relative_to(CONFIGS)


def test_predict_writes_every_picture_of_the_test_split(tmp_path):
    small = ["--data.identities", "6", "--data.frames", "3", "--data.clips_per_identity", "1"]
    few = ["--data.val_pairs_per_clip", "3", "--trainer.logger", "false", "--trainer.default_root_dir", "out"]
    assert main(["predict", "-c", "anitalker-tiny-stage1", *small, *few]) == 0
    pictures = sorted(tmp_path.rglob("*.png"))
    assert [path.name for path in pictures] == ["00000.png", "00001.png", "00002.png"]
    assert read_picture(pictures[0]).shape == (64, 64, 3)
