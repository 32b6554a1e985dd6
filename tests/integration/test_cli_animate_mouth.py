"""``talkingface animate --mouth`` with a model that edits expressions: what alpha does, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from speech_toys import murmur, save_editor
from talkingface.cli.main import main
from talkingface.core.media import VideoReader, write_audio, write_picture
from talkingface.data.synthetic import render_clip
from talkingface.pipelines import load

FRAMES = 140  # more than a window


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with a model that edits, one that does not, a portrait and a speech."""
    folder = tmp_path_factory.mktemp("models")
    save_editor(folder)
    write_picture(folder / "face.png", render_clip(0, 1, 1, 32, audio=False).frames[0])
    write_audio(folder / "speech.wav", murmur(FRAMES * 640)[0].numpy())
    return folder


@pytest.fixture(autouse=True)
def here(models, tmp_path, monkeypatch) -> None:
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)


def animate(*flags: str, model: str = "editor") -> int:
    files = ["--source", "face.png", "--audio", "speech.wav", "--model", model, "-o", "out.mp4", "--device", "cpu"]
    return main(["animate", *files, "--crop", "none", *flags])


def shown(*flags: str) -> np.ndarray:
    assert animate(*flags) == 0
    return VideoReader("out.mp4").read(range(0, FRAMES, 10)).astype(int)


def test_the_mouth_moves_more_the_more_is_asked_for():
    moved = [np.abs(np.diff(shown("--mouth", alpha), axis=0)).mean() for alpha in ("0", "0.5", "1.5")]
    assert moved[0] < moved[1] < moved[2]


def test_half_is_the_default_of_this_model():
    assert np.array_equal(shown(), shown("--mouth", "0.5"))
    assert not np.array_equal(shown(), shown("--mouth", "1"))


def test_a_track_of_alphas_is_followed():
    Path("mouth.csv").write_text("mouth\n" + "0\n" * 70 + "1\n" * 70)
    found, closed, full = shown("--mouth", "mouth.csv"), shown("--mouth", "0"), shown("--mouth", "1")
    halves = [np.abs(found - other).mean((1, 2, 3)) for other in (closed, full)]
    assert (halves[0][:7] < halves[1][:7]).all()
    assert (halves[0][7:] > halves[1][7:]).all()


def test_every_window_edits_the_portrait_itself(models):
    """A generator that goes on from the frame before would add edit to edit from window to window."""
    animator = load(models / "editor", "cpu")
    animation = animator.animate(models / "face.png", audio=murmur(FRAMES * 640)[0].numpy(), crop="none", mouth=0)
    motion = torch.cat(list(animation.motion.stream(8)))
    assert len(animation.motion.windows) > 1
    assert torch.allclose(motion, motion[:1].expand_as(motion), atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--mouth", "-0.5"), "mouth: frame 0 has -0.5; the limits are 0 to 3"),
        (("--mouth", "0.5", "--model", "other"), "cannot be told mouth; it takes no controls"),
        (("--pose", "10,0,0"), "cannot be told pose; it takes: mouth"),
    ],
)
def test_what_makes_no_sense_is_refused(flags, complaint, capsys):
    assert animate(*flags) != 0
    assert complaint in capsys.readouterr().err
    assert not Path("out.mp4").exists()
