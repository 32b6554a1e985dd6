"""Lips and sound of prepared clips are in sync where that is asked, by a stand-in for SyncNet that hears and sees."""

import numpy as np
import pytest
import torch

from lip_sync_toys import ToySyncNet, bright_frames, loud_sound, pattern
from media_files import make_video
from talkingface.cli import main
from talkingface.data.synthetic import Staging, render_clip
from talkingface.metrics.networks.syncnet import SyncNet
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.networks import load_networks
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings

FRAMES = 75
SMALL = {"size": 64, "min_face": 48, "min_blur": 1.0}
OFFSETS = {"in step": 0, "a frame late": -1, "early": 4, "late": -6}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A head whose picture is as bright as its sound is loud, with the sound moved by some frames."""
    root = tmp_path_factory.mktemp("raw")
    levels = pattern(FRAMES + 40)
    head = render_clip(3, 0, 1, 96, audio=False, staging=Staging(0.8)).frames[0].astype(np.float64)
    shades = bright_frames(levels[20:-20], 1)[:, :1].numpy().astype(np.float64)
    frames = (shades + 0.5 * (head - head[10:90, 10:90].mean())).clip(0, 255).astype(np.uint8)
    sound = loud_sound(levels).numpy()
    for name, lead in OFFSETS.items():
        first = (20 + lead) * 640
        make_video(root / f"{name}.mp4", frames, sound=sound[first : first + FRAMES * 640])
    unrelated = loud_sound(pattern(FRAMES, seed=9), seed=3).numpy()
    make_video(root / "dubbed.mp4", frames, sound=unrelated)
    make_video(root / "silent.mp4", frames)
    return root


@pytest.fixture
def syncnet(tmp_path, monkeypatch):
    """The published network's place is taken by one that knows what these clips are made of."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "syncnet.safetensors").write_bytes(b"stand-in")
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(weights))
    monkeypatch.setattr(SyncNet, "load", lambda path, device: ToySyncNet())
    load_networks.cache_clear()
    yield
    load_networks.cache_clear()


def asked(**changes):
    return Settings(**SMALL, sync=True, **{"min_confidence": 0.25, **changes})


def test_what_is_out_of_sync_is_dropped_with_both_numbers(raw, tmp_path, syncnet):
    prepare("folder", raw, tmp_path / "set", asked())
    kept = {row["source"][:-4]: row for row in read_rows(tmp_path / "set" / "manifest.parquet")}
    dropped = {row["source"][:-4]: row for row in read_rows(tmp_path / "set" / "dropped.parquet")}
    assert sorted(kept) == ["a frame late", "in step", "silent"]
    assert {row["stage"] for row in dropped.values()} == {"sync"}
    assert "the sound is 4 frames early (confidence 0." in dropped["early"]["reason"]
    assert "the sound is 6 frames late (confidence 0." in dropped["late"]["reason"]
    assert "lips and sound do not belong together (confidence 0.1" in dropped["dubbed"]["reason"]
    assert check(tmp_path / "set") == (3, [])  # what was dropped left no file

    assert (kept["in step"]["offset"], kept["a frame late"]["offset"]) == (0, -1)
    assert kept["in step"]["confidence"] > 0.25
    assert (kept["silent"]["offset"], kept["silent"]["confidence"]) == (None, None)
    assert "sync" in (tmp_path / "set" / "index.html").read_text()


def test_thresholds_are_settings(raw, tmp_path, syncnet):
    prepare("folder", raw, tmp_path / "set", asked(max_offset=15, min_confidence=-1.0))
    assert len(list(read_rows(tmp_path / "set" / "manifest.parquet"))) == 6


def test_unasked_nothing_is_dropped_and_nothing_measured(raw, tmp_path):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL))
    rows = list(read_rows(tmp_path / "set" / "manifest.parquet"))
    assert len(rows) == 6
    assert {row["offset"] for row in rows} == {None}


def test_the_real_network_runs_with_weights_of_its_shape(raw, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "in step.mp4").write_bytes((raw / "in step.mp4").read_bytes())
    save_file(SyncNet().state_dict(), tmp_path / "syncnet.safetensors")
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    load_networks.cache_clear()
    prepare("folder", tmp_path / "raw", tmp_path / "set", asked(max_offset=15, min_confidence=-10.0))
    (row,) = read_rows(tmp_path / "set" / "manifest.parquet")
    assert abs(row["offset"]) <= 15
    assert np.isfinite(row["confidence"])
    load_networks.cache_clear()


def test_a_missing_network_is_named_before_any_work(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert main(["prepare", "folder", str(raw), str(tmp_path / "set"), "--sync"]) == 1
    assert "Run 'talkingface doctor --fetch syncnet'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
