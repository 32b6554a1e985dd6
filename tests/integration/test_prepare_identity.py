"""One person a clip: faces that swap, several people in a source, and whom the tree means."""

from pathlib import Path

import numpy as np
import pytest
import torch

from media_files import make_video, tone
from talkingface.cli import main
from talkingface.core.errors import ConfigError
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import Staging, render_clip
from talkingface.prepare import networks
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings

SMALL = {"size": 64, "min_face": 48, "min_blur": 1.0}
REAL = Path(__file__).parents[3] / "shared" / "data"
WEIGHTS = REAL / "weights" / "facenet_vggface2_fp16.safetensors"


class Shade:
    """Tells people apart by the colours of their faces: what recognition does, for synthetic people."""

    def describe(self):
        return {"convention": "shade"}

    def crops(self, frames, faces):
        return torch.stack(
            [
                frame[:, int(top) : int(bottom), int(left) : int(right)].float().mean((1, 2))
                for frame, (left, top, right, bottom) in zip(frames, faces.clamp(min=0), strict=True)
            ]
        )

    def embed(self, crops):
        # far apart for faces that differ by some steps of brightness, alike for those of one person
        angles = crops / 12
        return torch.nn.functional.normalize(torch.cat((angles.sin(), angles.cos()), 1), dim=1)


@pytest.fixture
def shade(monkeypatch):
    monkeypatch.setattr(networks, "RECOGNITION", {"facenet": Shade})
    networks.load_networks.cache_clear()
    yield
    networks.load_networks.cache_clear()


@pytest.fixture(scope="module")
def people():
    """A dark and a light face."""
    heads = {
        number: render_clip(number, 0, 120, 96, audio=False, staging=Staging(0.8)).frames for number in range(3, 9)
    }
    shades = {number: frames[:, 30:60, 30:66].mean() for number, frames in heads.items()}
    return heads[min(shades, key=shades.get)], heads[max(shades, key=shades.get)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory, people):
    dark, light = people
    root = tmp_path_factory.mktemp("raw")
    two_shots = np.concatenate([dark[:110], light[:60]])
    (root / "anna").mkdir()
    make_video(root / "anna" / "talk.mp4", two_shots, sound=tone(6.8))
    make_video(root / "guests.mp4", np.concatenate([two_shots, dark[:55]]))
    share = np.linspace(0, 1, 20)[:, None, None, None]
    faded = ((1 - share) * dark[60:80] + share * light[60:80]).astype(np.uint8)  # no cut
    make_video(root / "swap.mp4", np.concatenate([dark[:60], faded, light[:60]]))
    return root


def rows(folder):
    return [(row["path"], row["identity"], row["frames"]) for row in read_rows(folder / "manifest.parquet")]


def test_people_of_one_source_are_told_apart_and_the_tree_says_who_counts(raw, tmp_path, shade):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL, identity="facenet"))
    made = rows(tmp_path / "set")
    assert made[:4] == [
        ("clips/anna/talk_000.mp4", "anna", 110),
        ("clips/guests/guests_000.mp4", "guests", 110),
        ("clips/guests/guests_001.mp4", "guests/2", 60),
        ("clips/guests/guests_002.mp4", "guests", 55),
    ]
    (dropped,) = [row for row in read_rows(tmp_path / "set" / "dropped.parquet") if row["source"] == "anna/talk.mp4"]
    assert (dropped["stage"], dropped["start"]) == ("identity", 4.4)
    assert "somebody else than the person who is seen longest" in dropped["reason"]
    assert check(tmp_path / "set") == (len(made), [])
    splits = {row["split"] for row in read_rows(tmp_path / "set" / "manifest.parquet") if "guests" in row["path"]}
    assert len(splits) == 1  # whoever was filmed together stays together


def test_a_face_that_swaps_without_a_cut_is_split(raw, tmp_path, shade):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL, identity="facenet"))
    swapped = [row for row in rows(tmp_path / "set") if "swap" in row[0]]
    assert [identity for _, identity, _ in swapped] in (["swap", "swap/2"], ["swap/2", "swap"])
    assert sum(frames for _, _, frames in swapped) < 140
    likeness = [row["likeness"] for row in read_rows(tmp_path / "set" / "manifest.parquet")]
    assert min(likeness) >= 0.5
    face = np.load(tmp_path / "set" / "clips" / "swap" / "swap_000.npz")["face"]
    assert np.linalg.norm(face) == pytest.approx(1)


def test_without_recognition_a_swap_is_one_clip_and_everybody_is_whom_the_tree_says(raw, tmp_path):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL))
    made = rows(tmp_path / "set")
    assert ("clips/swap/swap_000.mp4", "swap", 140) in made
    assert [identity for path, identity, _ in made if "anna" in path] == ["anna", "anna"]


def test_enough_clips_are_counted_for_each_person(raw, tmp_path, shade):
    prepare("folder", raw, tmp_path / "set", Settings(**SMALL, identity="facenet", clips_per_identity=1))
    assert [identity for path, identity, _ in rows(tmp_path / "set") if "guests" in path] == ["guests", "guests/2"]


def test_a_missing_network_is_named_before_any_work(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert main(["prepare", "folder", str(raw), str(tmp_path / "set"), "--identity", "facenet"]) == 1
    assert "Run 'talkingface doctor --fetch facenet-vggface2'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
    with pytest.raises(ConfigError, match="there is no network of recognition 'arcfce'; known: facenet"):
        prepare("folder", raw, tmp_path / "set", Settings(identity="arcfce"))


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no real clips and weights in {REAL}")
def test_facenet_sees_one_real_person_take_the_place_of_another(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "facenet-vggface2.safetensors").symlink_to(WEIGHTS)
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path / "weights"))
    first, second = (sorted((REAL / "clips").glob(f"{name}_*"))[0] for name in ("id009", "id010"))
    one, other = (VideoReader(path).read(range(75)) for path in (first, second))
    share = np.linspace(0, 1, 15)[:, None, None, None]
    faded = ((1 - share) * one[60:75] + share * other[:15]).astype(np.uint8)
    (tmp_path / "raw").mkdir()
    make_video(tmp_path / "raw" / "fade.mp4", np.concatenate([one[:60], faded, other[15:75]]))
    settings = {"size": 128, "min_face": 64, "min_blur": 1.0}
    prepare("folder", tmp_path / "raw", tmp_path / "set", Settings(**settings, identity="facenet"))
    made = rows(tmp_path / "set")
    assert sorted(identity for _, identity, _ in made) == ["fade", "fade/2"]
    prepare("folder", tmp_path / "raw", tmp_path / "blind", Settings(**settings))  # the control
    assert {identity for _, identity, _ in rows(tmp_path / "blind")} == {"fade"}
