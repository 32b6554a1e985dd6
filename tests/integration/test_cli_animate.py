"""``talkingface animate`` from files to a file, and what it says about bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface import hub
from talkingface.cli.main import main
from talkingface.core.media import VideoReader, VideoWriter, write_picture

FRAMES = 6


@pytest.fixture
def files(plugin, tmp_path, monkeypatch) -> Path:
    """A folder with a model, a portrait and a driving clip; it is the working directory."""
    from toy_plugin import ColourMotion, TintRenderer

    monkeypatch.chdir(tmp_path)
    encoder = ColourMotion()
    hub.save_model("model", {"motion_encoder": encoder, "renderer": TintRenderer(encoder)}, {})
    write_picture("face.png", np.full((40, 40, 3), 120, np.uint8))
    with VideoWriter("clip.mp4") as writer:
        writer.write(np.full((FRAMES, 32, 32, 3), 90, np.uint8))
    return tmp_path


def animate(**changes: str) -> int:
    options = {
        "source": "face.png",
        "driving": "clip.mp4",
        "model": "model",
        "out": "out.mp4",
        "device": "cpu",
    } | changes
    return main(["animate", *(part for name, value in options.items() for part in (f"--{name}", value))])


def test_a_portrait_moves_after_a_clip(files, capsys):
    assert animate() == 0
    assert len(VideoReader("out.mp4")) == FRAMES
    out, err = capsys.readouterr()
    assert out == f"out.mp4: {FRAMES} frames\n"
    assert err == ""  # quiet where nobody watches


def test_relative_driving_from_the_command_line(files):
    command = [
        "animate",
        "--source",
        "face.png",
        "--driving",
        "clip.mp4",
        "--model",
        "model",
        "-o",
        "r.mp4",
        "--relative",
    ]
    assert main([*command, "--device", "cpu"]) == 0
    assert abs(float(VideoReader("r.mp4").read([3]).mean()) - 120) < 3  # nothing moves, so the portrait stays
    assert animate() == 0
    assert abs(float(VideoReader("out.mp4").read([3]).mean()) - 90) < 3  # the control: absolute takes the colour over


def test_the_answer_for_programs(files, capsys):
    command = [
        "animate",
        "--source",
        "face.png",
        "--driving",
        "clip.mp4",
        "--model",
        "model",
        "-o",
        "out.mp4",
        "--json",
    ]
    assert main([*command, "--device", "cpu"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"out": "out.mp4", "frames": FRAMES, "seconds": FRAMES / 25, "device": "cpu"}.items() <= told.items()
    assert told["real_time_factor"] * told["seconds"] >= told["first_frame"] - 0.01 > 0


@pytest.mark.parametrize("option", ["source", "driving"])
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("nothing.mp4", None, "does not exist"),
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"this is no video\n" * 50, "not a video|no video|cut off"),
    ],
)
def test_a_bad_file_is_one_clear_line_that_names_it(files, capsys, option, name, content, complaint):
    if content is not None:
        Path(name).write_bytes(content)
    assert animate(**{option: name}) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert name in err
    assert any(word in err for word in complaint.split("|")), err
    assert not Path("out.mp4").exists()


def test_a_truncated_clip_does_not_crash(files, capsys):
    whole = Path("clip.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) // 3])
    assert animate(driving="cut.mp4") in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_a_picture_that_is_too_small_is_told(files, capsys):
    write_picture("tiny.png", np.zeros((4, 4, 3), np.uint8))
    assert animate(source="tiny.png") == 1
    assert "too small" in capsys.readouterr().err


def test_a_missing_model_is_told(files, capsys):
    assert animate(model="modl") == 1
    assert "there is no model folder modl" in capsys.readouterr().err


def test_a_training_checkpoint_as_the_model_names_the_command_to_export_it(files, capsys):
    torch.save({"state_dict": {}}, "x.ckpt")
    assert animate(model="x.ckpt") == 1
    assert "talkingface export" in capsys.readouterr().err


def test_weights_of_another_architecture_are_named_tensor_by_tensor(files, capsys):
    config = Path("model/renderer/config.json")
    config.write_text(json.dumps({"class_path": "talkingface.renderers.LIADiscriminator", "init_args": {"size": 64}}))
    index = Path("model/model_index.json")
    index.write_text(index.read_text().replace('"wired": [\n        "motion_encoder"\n      ]', '"wired": []'))
    assert animate() == 1
    err = capsys.readouterr().err
    assert "does not fit LIADiscriminator" in err
    assert "unknown: bias" in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told(files, capsys):
    assert animate(device="cuda") == 1
    assert "--device cpu" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out.txt", "out"])
def test_an_output_that_is_no_video_is_told(files, capsys, out):
    assert animate(out=out) == 1
    assert ".mp4" in capsys.readouterr().err


def test_an_impossible_batch_is_told(files, capsys):
    assert animate(batch="0") == 1
    assert "batch" in capsys.readouterr().err
    assert animate(batch="many") == 2
