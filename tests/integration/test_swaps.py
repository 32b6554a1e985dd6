"""One line swaps a part: every variant trains, saves, reloads and animates."""

import numpy as np
import pytest

import talkingface
from media_files import make_video
from talkingface.cli.main import main
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import render_clip

SMALL = {"data.identities": 4, "data.clips_per_identity": 1, "data.frames": 3, "data.pairs_per_clip": 4}
QUICK = {"trainer.max_epochs": 1, "trainer.logger": "false", "data.batch_size": 4}
NO_IDENTITY = ["--model.loss_weights", "{l1: 1.0, pyramid: 1.0}", "--data.candidates", "false"]
SWAPS = {
    "as it is": [],
    "projector fc": ["--model.motion_encoder.projector", "fc"],
    "10 dimensions": ["--model.motion_encoder.dim", "10"],
    "32 dimensions": ["--model.motion_encoder.dim", "32"],
    "no aggregation": ["--model.motion_encoder.hal", "false"],
    "no decoupling": ["--model.motion_encoder.decouple", "false", *NO_IDENTITY],
    "no identity losses": NO_IDENTITY,
    "landmarks": ["--model.motion_encoder", "landmarks", "--model.motion_encoder.reader", "synthetic", *NO_IDENTITY],
    "triplet": ["--model.identity.metric", "talkingface.losses.TripletLoss"],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("swap", SWAPS)
def test_a_swapped_model_trains_saves_reloads_and_animates(swap, tmp_path):
    options = [part for name, value in {**SMALL, **QUICK}.items() for part in (f"--{name}", str(value))]
    assert main(["fit", "-c", "anitalker-tiny-stage1", *options, *SWAPS[swap]]) == 0
    (checkpoint,) = (tmp_path / "runs").rglob("*.ckpt")
    assert main(["export", str(checkpoint), "model"]) == 0

    clip = render_clip(1, 5, frames=4, size=64, audio=False)
    driving = make_video(tmp_path / "driving.mp4", clip.frames)
    animation = talkingface.load("model", device="cpu").animate(clip.frames[0], driving=driving)
    first = np.concatenate(list(animation.frames()))
    again = talkingface.load("model", device="cpu").animate(clip.frames[0], driving=driving)
    assert np.array_equal(first, np.concatenate(list(again.frames())))
    assert len(VideoReader(animation.save("out.mp4"))) == 4


def test_the_swap_is_in_the_saved_model(tmp_path):
    options = [part for name, value in {**SMALL, **QUICK}.items() for part in (f"--{name}", str(value))]
    main(["fit", "-c", "anitalker-tiny-stage1", *options, *SWAPS["projector fc"], *SWAPS["10 dimensions"]])
    (checkpoint,) = (tmp_path / "runs").rglob("*.ckpt")
    main(["export", str(checkpoint), "model"])
    settings = talkingface.load_model("model")["motion_encoder"].config["init_args"]
    assert (settings["projector"], settings["dim"], settings["hal"]) == ("fc", 10, True)
