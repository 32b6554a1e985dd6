"""``talkingface animate`` with a model of implicit keypoints: driving rules, retargeting, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface import hub
from talkingface.cli import animate_options
from talkingface.cli.main import main
from talkingface.core.media import VideoReader, VideoWriter, read_picture, write_picture
from talkingface.data.synthetic import render_clip
from talkingface.motion import LivePortraitMotion, Retargeting, driving
from talkingface.pipelines import animator as pipeline
from talkingface.renderers import FaceVid2VidRenderer


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with a model that can be retouched, one that cannot, a portrait, a picture of another and a clip."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    motion = LivePortraitMotion(size=64, width=0.0625)
    torch.nn.init.normal_(motion.heads["expression"].weight, std=1.0)  # a new one hardly tells frames apart
    parts = {"motion_encoder": motion, "renderer": FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=2)}
    retargeting = Retargeting()
    for network in (retargeting.stitching, retargeting.eyes, retargeting.lips):
        torch.nn.init.normal_(network[-1].weight, std=0.3)
    hub.save_model(folder / "plain", parts, {})
    hub.save_model(folder / "full", {**parts, "retargeting": retargeting}, {})
    write_picture(folder / "face.png", render_clip(0, 1, 1, 64, audio=False).frames[0])
    write_picture(folder / "other.png", render_clip(2, 3, 1, 64, audio=False).frames[0])
    with VideoWriter(folder / "clip.mp4", crf=0) as writer:
        writer.write(render_clip(2, 3, 3, 64, audio=False).frames)
    return folder


@pytest.fixture(autouse=True)
def here(models, tmp_path, monkeypatch) -> Path:
    """A working directory with links to these files, in which landmarks of the portrait are known."""
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    known = torch.from_numpy(render_clip(0, 1, 1, 64, audio=False).landmarks).float() * 24 + 20  # of a small face
    defaults = {**pipeline.Animator.animate.__kwdefaults__, "landmarks": lambda frames: known}
    monkeypatch.setattr(pipeline.Animator.animate, "__kwdefaults__", defaults)
    return tmp_path


def animate(*flags: str, model: str = "full", driving: str = "clip.mp4", out: str = "out.mp4") -> int:
    files = ["--source", "face.png", "--driving", driving, "--model", model, "-o", out, "--device", "cpu"]
    return main(["animate", *files, "--crop", "none", *flags])


def shown(*flags: str, model: str = "full") -> np.ndarray:
    assert animate(*flags, model=model) == 0
    return VideoReader("out.mp4").read(range(3))


def test_relative_driving_is_the_default():
    assert np.array_equal(shown(), shown("--relative"))
    assert not np.array_equal(shown(), shown("--absolute"))


@pytest.mark.parametrize("flags", [("--region", "lips"), ("--stitch",), ("--eyes", "0.5"), ("--lips", "0.4")])
def test_what_is_asked_shows(flags):
    assert not np.array_equal(shown(), shown(*flags))


def test_stitching_comes_with_pasting_back():
    assert np.array_equal(shown("--paste-back"), shown("--paste-back", "--stitch"))
    assert not np.array_equal(shown("--paste-back"), shown("--paste-back", "--no-stitch"))
    assert np.array_equal(shown("--paste-back", model="plain"), shown("--paste-back", "--no-stitch", model="plain"))


def test_the_driving_video_can_be_cut_by_landmarks():
    assert not np.array_equal(shown("--crop", "landmarks"), shown("--crop", "landmarks", "--crop-driving"))


def test_a_picture_drives_a_picture(capsys):
    assert animate("--json", driving="other.png", out="out.png") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 1
    assert read_picture("out.png").shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("model", "flags", "complaints"),
    [
        ("plain", ("--eyes", "0.3"), ("no retargeting part", "eyes", "convert liveportrait")),
        ("plain", ("--stitch",), ("no retargeting part", "stitch")),
        ("full", ("--lips", "1.5"), ("lips cannot be open by 1.5", "0.8")),
        ("full", ("--eyes", "-0.1"), ("eyes cannot be open by -0.1",)),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(capsys, model, flags, complaints):
    assert animate(*flags, model=model) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(complaint in err for complaint in complaints), err
    assert not Path("out.mp4").exists()


def test_every_region_can_be_named():
    assert animate_options.REGIONS == driving.REGIONS


def test_half_precision_can_be_asked_for():
    assert np.array_equal(shown(), shown("--dtype", "float32"))
    assert not np.array_equal(shown(), shown("--dtype", "bfloat16"))


def test_a_picture_is_no_place_for_a_video(capsys):
    assert animate(out="out.png") == 1
    assert "out.png has a suffix" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--region", "nose"), ("--eyes", "wide"), ("--relative", "--absolute")])
def test_flags_that_mean_nothing_are_wrong_usage(capsys, flags):
    assert animate(*flags) == 2
    assert "Traceback" not in capsys.readouterr().err
