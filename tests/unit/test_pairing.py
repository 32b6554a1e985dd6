"""Predictions and targets pair by name, and whatever does not is said."""

from pathlib import Path

import numpy as np
import pytest

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import write_picture
from talkingface.evaluation.pairing import pair_clips, read_identities

CLIP = np.zeros((2, 16, 16, 3), np.uint8)


def folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, CLIP)
    return root


def test_clips_pair_by_path_without_suffix(tmp_path):
    found = pair_clips(folder(tmp_path / "p", "anna/1", "anna/2"), folder(tmp_path / "t", "anna/1", "anna/2"))
    assert [(pair.clip, pair.identity, pair.target) for pair in found.pairs] == [
        ("anna/1", "anna", tmp_path / "t/anna/1.npy"),
        ("anna/2", "anna", tmp_path / "t/anna/2.npy"),
    ]
    assert found.unpaired == ()


def test_what_does_not_pair_is_said_with_the_nearest_name(tmp_path):
    found = pair_clips(folder(tmp_path / "p", "a", "clip_01", "x"), folder(tmp_path / "t", "a", "clip_1"))
    assert [pair.clip for pair in found.pairs] == ["a"]
    assert "prediction 'clip_01' has no target (nearest: 'clip_1')" in found.unpaired
    assert len(found.unpaired) == 3


def test_nothing_that_pairs_is_an_error_that_names_clips(tmp_path):
    with pytest.raises(ConfigError, match="nothing pairs: prediction 'a' has no target"):
        pair_clips(folder(tmp_path / "p", "a"), folder(tmp_path / "t", "b", "c"))


def test_two_single_files_pair_whatever_they_are_called(tmp_path):
    folder(tmp_path, "mine", "theirs")
    found = pair_clips(tmp_path / "mine.npy", tmp_path / "theirs.npy")
    assert [(pair.clip, pair.target) for pair in found.pairs] == [("mine", tmp_path / "theirs.npy")]


def test_a_name_that_stands_twice_is_not_guessed(tmp_path):
    folder(tmp_path / "p", "a", "b")
    (tmp_path / "p" / "a").mkdir()
    write_picture(tmp_path / "p" / "a" / "0.png", CLIP[0])
    found = pair_clips(tmp_path / "p", folder(tmp_path / "t", "a", "b"))
    assert [pair.clip for pair in found.pairs] == ["b"]
    assert "prediction 'a' exists 2 times" in found.unpaired[0]


def test_neighbours_show_different_people(tmp_path):
    names = ["anna/1", "anna/2", "anna/3", "bert/1", "cleo/1"]
    found = pair_clips(folder(tmp_path / "p", *names), folder(tmp_path / "t", *names))
    assert [pair.identity for pair in found.pairs] == ["anna", "bert", "cleo", "anna", "anna"]


def test_people_come_from_a_table(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("path,identity\nclips/a.mp4,anna\nclips/b.mp4,anna\n")
    people = read_identities(table)
    found = pair_clips(folder(tmp_path / "p", "a", "b", "c"), folder(tmp_path / "t", "a", "b", "c"), identities=people)
    assert {pair.clip: pair.identity for pair in found.pairs} == {"a": "anna", "b": "anna", "c": "c"}
    assert found.unpaired == ("clip 'c' is not in the list of identities; it counts as a person of its own",)


def test_a_table_without_the_columns_is_refused(tmp_path):
    (tmp_path / "people.csv").write_text("file,person\na,b\n")
    with pytest.raises(ConfigError, match="'identity'"):
        read_identities(tmp_path / "people.csv")


def test_portraits_stand_in_for_targets_in_cross_reenactment(tmp_path):
    (tmp_path / "s").mkdir()
    write_picture(tmp_path / "s" / "a.png", CLIP[0])
    found = pair_clips(folder(tmp_path / "p", "a"), source=tmp_path / "s")
    assert (found.pairs[0].target, found.pairs[0].source) == (None, tmp_path / "s" / "a.png")


def test_a_clip_without_its_sound_is_scored_without_and_said(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.wav").touch()
    found = pair_clips(folder(tmp_path / "p", "a", "b"), folder(tmp_path / "t", "a", "b"), audio=tmp_path / "s")
    assert [pair.audio for pair in found.pairs] == [tmp_path / "s" / "a.wav", None]
    assert found.unpaired[0].startswith("clip 'b' has no sound")


def test_nothing_to_compare_with_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"--target .* or --source"):
        pair_clips(folder(tmp_path / "p", "a"))
    with pytest.raises(MediaError, match="does not exist"):
        pair_clips(tmp_path / "p", tmp_path / "nowhere")
