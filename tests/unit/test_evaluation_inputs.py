"""Clips of any system are found and read once: videos, arrays, folders of pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.media import VideoWriter, write_picture
from talkingface.evaluation.inputs import find_clips, find_sounds, output_path, read_clip


def frames(count: int = 4, size: int = 32, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def video(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path) as writer:
        writer.write(pixels)
    return path


def pictures(folder: Path, pixels: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for index, picture in enumerate(pixels):
        write_picture(folder / f"{index}.png", picture)
    return folder


def test_videos_arrays_and_folders_of_pictures_are_clips_named_by_their_path(tmp_path):
    video(tmp_path / "anna" / "one.mp4", frames())
    np.save(tmp_path / "two.npy", frames())
    pictures(tmp_path / "bert" / "three", frames())
    (tmp_path / "notes.txt").write_text("no clip")
    found = find_clips(tmp_path)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "anna/one": ["one.mp4"],
        "two": ["two.npy"],
        "bert/three": ["three"],
    }


def test_a_name_that_stands_twice_is_not_hidden(tmp_path):
    video(tmp_path / "one.mp4", frames())
    np.save(tmp_path / "one.npy", frames())
    assert len(find_clips(tmp_path)["one"]) == 2


@pytest.mark.parametrize("make", [lambda path: path, lambda path: path.mkdir()])
def test_nothing_to_score_is_an_error(tmp_path, make):
    make(tmp_path / "empty")
    with pytest.raises(MediaError, match=r"does not exist|holds no clip"):
        find_clips(tmp_path / "empty")


def test_lossless_forms_of_a_clip_give_its_pixels(tmp_path):
    pixels = frames(12)
    np.save(tmp_path / "a.npy", pixels)
    np.save(tmp_path / "b.npy", pixels.astype(np.float32) / 127.5 - 1)
    for path in (tmp_path / "a.npy", tmp_path / "b.npy", pictures(tmp_path / "c", pixels)):  # 10.png comes after 9.png
        assert np.array_equal(read_clip(path).movedim(1, -1).numpy(), pixels), path


def test_a_video_keeps_its_length_and_a_codec_changes_its_pixels(tmp_path):
    pixels = frames(40)
    read = read_clip(video(tmp_path / "a.mp4", pixels))
    assert read.shape == (40, 3, 32, 32)
    assert not np.array_equal(read.movedim(1, -1).numpy(), pixels)


def test_frames_are_resized_on_request_only(tmp_path):
    np.save(tmp_path / "a.npy", frames(3, 48))
    assert read_clip(tmp_path / "a.npy", 32).shape == (3, 3, 32, 32)
    assert read_clip(tmp_path / "a.npy").shape == (3, 3, 48, 48)


def test_frames_that_are_not_square_are_not_squeezed(tmp_path):
    np.save(tmp_path / "a.npy", frames(3, 48)[:, :32])
    with pytest.raises(ShapeError, match="48×32 are not square"):
        read_clip(tmp_path / "a.npy", 32)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.where(np.arange(4).reshape(4, 1, 1, 1) == 2, np.nan, np.zeros((4, 8, 8, 3))), "1 frames, the first in 2"),
        (np.full((2, 8, 8, 3), 255.0), "outside"),
        (np.zeros((8, 8, 3), np.uint8), "expected frames"),
        (np.zeros((0, 8, 8, 3), np.uint8), "expected frames"),
        (np.array([{}], dtype=object), "not an array that can be read"),
    ],
)
def test_arrays_that_are_no_frames_are_refused(tmp_path, array, complaint):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(MediaError, match=complaint):
        read_clip(tmp_path / "a.npy")


def test_pictures_of_several_sizes_are_refused(tmp_path):
    folder = pictures(tmp_path / "a", frames(2))
    write_picture(folder / "2.png", frames(1, 48)[0])
    with pytest.raises(MediaError, match="several sizes"):
        read_clip(folder)


def test_the_path_of_the_pixels_is_told(tmp_path):
    np.save(tmp_path / "a.npy", frames())
    assert output_path(tmp_path / "a.npy") == "array"
    assert output_path(pictures(tmp_path / "b", frames())) == "png"
    assert output_path(video(tmp_path / "c.mp4", frames())) == "h264"


def test_sounds_are_found_by_name(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "one.wav").touch()
    (tmp_path / "two.mp3").touch()
    (tmp_path / "three.txt").touch()
    assert set(find_sounds(tmp_path)) == {"x/one", "two"}
    assert find_sounds(tmp_path / "two.mp3") == {"two": tmp_path / "two.mp3"}


def test_a_clip_is_a_byte_tensor(tmp_path):
    np.save(tmp_path / "a.npy", frames())
    assert read_clip(tmp_path / "a.npy").dtype == torch.uint8
