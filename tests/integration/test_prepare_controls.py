"""Landmarks, pose, place and size of every frame as a stage of preparing, and training from them."""

import json

import numpy as np
import pytest
import torch

from media_files import make_video, tone
from talkingface.cli import main
from talkingface.controls import TrackerControls
from talkingface.core.errors import ConfigError, MediaError
from talkingface.data import FolderClips, FolderPairs
from talkingface.data.synthetic import Staging, render_clip
from talkingface.evaluation import SyntheticControls
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.networks import load_networks
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings

SMALL = {"size": 64, "min_face": 48, "min_blur": 1.0}
CLIP = "clips/a/take_000.mp4"


@pytest.fixture(scope="module")
def truth():
    return render_clip(3, 0, 60, 96, audio=False, staging=Staging(0.8))


@pytest.fixture(scope="module")
def raw(tmp_path_factory, truth):
    root = tmp_path_factory.mktemp("raw")
    (root / "a").mkdir()
    make_video(root / "a" / "take.mp4", truth.frames, sound=tone(2.4))
    return root


@pytest.fixture(scope="module")
def made(raw, tmp_path_factory):
    dst = tmp_path_factory.mktemp("made") / "set"
    prepare("folder", raw, dst, Settings(**SMALL, controls="synthetic"))
    return dst


def test_arrays_of_every_frame_lie_beside_the_clip(made, truth):
    arrays = np.load(made / "clips" / "a" / "take_000.npz", allow_pickle=False)
    assert arrays["landmarks"].shape == (60, 68, 2)
    assert arrays["location"].shape == arrays["scale"].shape == (60,)
    errors = np.abs(arrays["pose"] - truth.pose).mean(0)  # the crop moves and scales a head, but does not turn it
    assert errors.max() < 8  # degrees; what the face reader reaches at 64 px
    assert np.abs(arrays["pose"][::-1] - truth.pose).mean(0).max() > errors.max()  # the control: another order
    (row,) = read_rows(made / "manifest.parquet")
    assert row["labelled"] == 1.0
    assert check(made) == (1, [])


def test_a_reader_without_a_folder_finds_them_there(made):
    arrays = np.load(made / "clips" / "a" / "take_000.npz", allow_pickle=False)
    found = TrackerControls().read(made / CLIP)
    for name in ("landmarks", "pose", "location", "scale", "expression"):
        assert found[name].numpy() == pytest.approx(arrays[name], abs=1e-3), name


def test_they_are_what_the_reader_says_of_the_pictures_before_they_were_encoded(made):
    kept, decoded = TrackerControls().read(made / CLIP), SyntheticControls().read(made / CLIP)
    assert (kept["location"] - decoded["location"]).abs().max() < 0.02
    assert not torch.equal(kept["location"], decoded["location"])  # x264 loses a little


def test_training_reads_them_by_one_line_and_without_one_does_not(made):
    manifest = {"root": made, "frames": 10, "workers": 0}
    clip = next(clip for split in ("train", "val", "test") for clip in FolderClips(**manifest).clips(split))
    known = FolderClips(**manifest, controls=TrackerControls()).controls_of(clip)
    assert {name: bool(values.isfinite().all()) for name, values in known.items()} == {
        "pose": True,
        "location": True,
        "scale": True,
    }
    assert FolderClips(**manifest).controls_of(clip)["pose"].isnan().all()
    pairs = FolderPairs(made, controls=TrackerControls(), workers=0)
    (labelled,) = pairs.clips(clip.split)
    assert labelled.truth([0, 5])["landmarks"].shape == (2, 68, 2)


def test_a_set_without_labels_says_how_they_are_made(raw, tmp_path):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL))
    (row,) = read_rows(tmp_path / "set" / "manifest.parquet")
    assert row["labelled"] is None
    with pytest.raises(MediaError, match=r"landmarks in .* is missing, .* Prepare the set with --controls"):
        TrackerControls().read(tmp_path / "set" / CLIP)


def test_the_pictures_that_are_kept_are_handed_on(raw, tmp_path, monkeypatch):
    seen = []
    read = SyntheticControls.read

    def watched(self, clip, frames=None):
        seen.append((clip, frames.shape))
        return read(self, clip, frames)

    monkeypatch.setattr(SyntheticControls, "read", watched)
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL, controls="synthetic", seed=1))
    assert seen == [(None, (1, 64, 64, 3)), (None, (60, 64, 64, 3))]  # the first is the trial before any work


def test_a_missing_network_is_named_before_any_work(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    arguments = ["prepare", "folder", str(raw), str(tmp_path / "set"), "--controls"]
    assert main([*arguments, "landmarks"]) == 1
    assert "Run 'talkingface doctor --fetch fan'" in capsys.readouterr().err
    assert main([*arguments, "mediapipe"]) == 1
    assert "Run 'talkingface doctor --fetch face-landmarker'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("labels:folder=x", "label files belong to clips"),
        ("labels", "See 'talkingface show controls.labels'"),
        ("nobody", "there is no controls 'nobody'"),
    ],
)
def test_what_does_not_look_at_pictures_is_refused(raw, tmp_path, reader, message):
    with pytest.raises(ConfigError, match=message):
        prepare("folder", raw, tmp_path / "set", Settings(**SMALL, controls=reader))


def test_clips_of_another_reader_or_network_do_not_come_into_the_set(raw, made, monkeypatch):
    with pytest.raises(ConfigError, match="was begun with controls synthetic"):
        prepare("folder", raw, made, Settings(**SMALL))
    assert json.loads((made / "settings.json").read_text())["controls_by"]
    monkeypatch.setattr(SyntheticControls, "fingerprint", lambda self: "another network")
    load_networks.cache_clear()
    with pytest.raises(ConfigError, match="was begun with controls_by"):
        prepare("folder", raw, made, Settings(**SMALL, controls="synthetic"))
