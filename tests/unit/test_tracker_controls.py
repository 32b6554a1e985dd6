"""Tracks of a user's own tracker: read, refused, and what training and speech make of them."""

import numpy as np
import pytest

from media_files import make_video, noise_pictures
from talkingface.controls import TrackerControls
from talkingface.core.errors import ConfigError, MediaError

FRAMES = 6


@pytest.fixture
def clip(tmp_path):
    return make_video(tmp_path / "one.mp4", noise_pictures(FRAMES, 64, 128))


def tracks(path, **changes):
    random = np.random.default_rng(0)
    arrays = {"landmarks": random.random((FRAMES, 68, 2)), "expression": random.random((FRAMES, 50))}
    arrays |= {"pose": np.tile([10.0, -5.0, 3.0], (FRAMES, 1)), **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return arrays


def test_tracks_are_those_of_the_file_of_the_clips_name(tmp_path, clip):
    arrays = tracks(tmp_path / "one.npz")
    found = TrackerControls(folder=str(tmp_path)).read(clip)
    assert found["expression"].shape == (FRAMES, 50)
    assert found["pose"][0].tolist() == pytest.approx([10, -5, 3], abs=1e-3)
    assert found["location"].numpy() == pytest.approx(arrays["landmarks"][:, 30, 0])
    brows = (arrays["landmarks"][:, 21] + arrays["landmarks"][:, 22]) / 2
    chin = (brows - arrays["landmarks"][:, 8]) * [2.0, 1.0]  # twice as wide as high
    assert found["scale"].numpy() == pytest.approx(np.linalg.norm(chin, axis=-1), rel=1e-5)


def test_tracks_beside_the_clip_need_no_folder_and_no_coefficients(tmp_path, clip):
    arrays = tracks(tmp_path / "one.npz", expression=None)
    found = TrackerControls().read(clip)
    assert found["location"].numpy() == pytest.approx(arrays["landmarks"][:, 30, 0])
    assert "expression" not in found
    with pytest.raises(MediaError, match=r"elsewhere/one\.npz cannot be read"):
        TrackerControls(folder="elsewhere").read(clip)


def test_a_lost_frame_stays_unknown(tmp_path, clip):
    landmarks = np.full((FRAMES, 68, 2), 0.5)
    landmarks[2] = np.nan
    tracks(tmp_path / "one.npz", landmarks=landmarks)
    found = TrackerControls(folder=str(tmp_path)).read(clip)
    assert found["scale"].isnan().tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose": None}, "pose in .* is missing"),
        ({"pose": np.zeros((FRAMES, 3, 3))}, r"pose in .* is \(6, 3, 3\), expected \(6, 3\)"),
        ({"expression": np.zeros((FRAMES + 1, 50))}, r"expression in .* is \(7, 50\), expected \(6, 50\)"),
        ({"landmarks": np.zeros((FRAMES, 478, 2))}, r"landmarks in .* is \(6, 478, 2\)"),
    ],
)
def test_other_arrays_are_refused_by_name(tmp_path, clip, changes, message):
    tracks(tmp_path / "one.npz", **changes)
    with pytest.raises(MediaError, match=message):
        TrackerControls(folder=str(tmp_path)).read(clip)


def test_a_missing_or_broken_file_is_named(tmp_path, clip):
    reader = TrackerControls(folder=str(tmp_path))
    with pytest.raises(MediaError, match=r"one\.npz cannot be read"):
        reader.read(clip)
    (tmp_path / "one.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(MediaError, match=r"one\.npz cannot be read"):
        reader.read(clip)


def test_pictures_that_are_no_clip_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="label files belong to clips"):
        TrackerControls(folder=str(tmp_path)).read(None, noise_pictures(1, 64, 64))
