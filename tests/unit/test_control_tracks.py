"""Numbers, CSV files and videos become tracks as long as the speech, or one clear error."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.interfaces import ControlReader
from talkingface.pipelines.control_tracks import read_controls

ALL = ("location", "scale", "pose")
CSV = "Yaw, pitch ,roll,location,scale\n" + "".join(f"{i},-1,0.5,0.4,0.3\n" for i in range(4))


class Reader(ControlReader):
    """Says of any clip what it was made with."""

    def __init__(self, tracks: dict[str, Tensor]) -> None:
        super().__init__()
        self.tracks = tracks

    def read(self, clip, frames=None):
        return self.tracks


@pytest.fixture
def track(tmp_path) -> Path:
    (tmp_path / "track.csv").write_text(CSV)
    return tmp_path / "track.csv"


@pytest.fixture
def video(tmp_path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(b"a reader looks into it, not we")
    return tmp_path / "clip.mp4"


def test_numbers_hold_for_the_whole_clip():
    told = read_controls({"pose": (10, 0, -5), "location": 0.5, "scale": 0}, 3, ALL)
    assert torch.equal(told.tracks["pose"], torch.tensor([[10.0, 0, -5]] * 3))
    assert torch.equal(told.tracks["location"], torch.full((3,), 0.5))
    assert torch.equal(told.tracks["scale"], torch.zeros(3))
    assert told.notes == ()


def test_the_mouth_is_a_number_or_a_track(tmp_path):
    assert read_controls({"mouth": 0.7}, 2, ("mouth",)).tracks["mouth"].tolist() == pytest.approx([0.7, 0.7])
    (tmp_path / "mouth.csv").write_text("mouth\n0\n0.5\n2\n")
    assert read_controls({"mouth": tmp_path / "mouth.csv"}, 3, ("mouth",)).tracks["mouth"].tolist() == [0, 0.5, 2]


@pytest.mark.parametrize("alpha", [-0.01, 3.5, float("nan")])
def test_a_mouth_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="the limits are 0 to 3 times"):
        read_controls({"mouth": alpha}, 2, ("mouth",))


def test_the_mouth_of_a_video_cannot_be_taken_over(video):
    with pytest.raises(ConfigError, match=r"number or a \.csv file"):
        read_controls({"mouth": video}, 2, ("mouth",), Reader({}))


def test_tracks_can_be_given_as_arrays():
    pose, scale = np.random.default_rng(0).random((5, 3), np.float32), np.linspace(0, 1, 5, dtype=np.float32)
    told = read_controls({"pose": pose, "scale": scale}, 5, ALL)
    assert np.array_equal(told.tracks["pose"], pose)
    assert np.array_equal(told.tracks["scale"], scale)


def test_one_csv_file_serves_all_controls(track):
    told = read_controls(dict.fromkeys(ALL, track), 4, ALL)
    assert told.tracks["pose"].tolist() == [[i, -1, 0.5] for i in range(4)]
    assert torch.equal(told.tracks["location"], torch.full((4,), 0.4))
    assert told.files == {f"{name} track": track for name in ALL}
    assert told.notes == ()


def test_of_a_shorter_track_the_last_value_is_held_and_said_so(track):
    told = read_controls({"pose": track}, 7, ALL)
    assert told.tracks["pose"][:, 0].tolist() == [0, 1, 2, 3, 3, 3, 3]
    assert "4 frames and the speech 7" in told.notes[0]


def test_of_a_longer_track_the_end_is_cut_and_said_so(track):
    told = read_controls({"pose": track}, 2, ALL)
    assert told.tracks["pose"][:, 0].tolist() == [0, 1]
    assert "cut" in told.notes[0]


def test_a_pose_within_the_limit_but_beyond_the_advised_range_is_said_so():
    assert read_controls({"pose": (18, -18, 18)}, 1, ALL).notes == ()
    assert "30 degrees" in read_controls({"pose": (0, -30, 0)}, 1, ALL).notes[0]


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [
        ("pose", (91, 0, 0), "-90 to 90 degrees"),
        ("pose", (0, float("nan"), 0), "-90 to 90"),
        ("location", 1.5, "0 to 1 of the frame's width"),
        ("scale", -0.1, "0 to 1"),
        ("scale", float("inf"), "0 to 1"),
    ],
)
def test_values_out_of_range_name_the_limits(name, value, limits):
    with pytest.raises(ConfigError, match=limits):
        read_controls({name: value}, 3, ALL)


@pytest.mark.parametrize("value", [10.0, (1, 2), [], np.zeros((4, 2)), np.zeros((1, 4, 3))])
def test_a_pose_that_is_not_three_numbers_is_refused(value):
    with pytest.raises(ConfigError, match="yaw, pitch, roll"):
        read_controls({"pose": value}, 3, ALL)


@pytest.mark.parametrize("value", [[], np.zeros((4, 1))])
def test_a_place_that_is_no_number_is_refused(value):
    with pytest.raises(ConfigError, match="give location"):
        read_controls({"location": value}, 3, ALL)


def test_a_control_that_the_generator_does_not_take_is_refused_with_those_it_takes():
    with pytest.raises(ConfigError, match="cannot be told scale; it takes: pose"):
        read_controls({"scale": 0.3}, 3, ("pose",))
    with pytest.raises(ConfigError, match="takes no controls"):
        read_controls({"scale": 0.3}, 3, ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("1,2,3\n4,5,6\n", "no column yaw, pitch, roll"),
        ("yaw,pitch\n1,2\n", "no column roll"),
        ("yaw,pitch,roll\n", "no rows"),
        ("yaw,pitch,roll\n1,2,3\n1,two,3\n", "line 3"),
        ("yaw,pitch,roll\n1,2,3\n1,2\n", "line 3"),
        ("yaw,pitch,roll\n1,2,3\nnan,2,3\n", "frame 1 has nan"),
        ("yaw,pitch,roll\n1,2,120\n", "-90 to 90"),
    ],
)
def test_a_wrong_csv_file_is_one_clear_error_that_names_it(tmp_path, text, complaint):
    (tmp_path / "track.csv").write_text(text)
    with pytest.raises((MediaError, ConfigError), match=complaint) as error:
        read_controls({"pose": tmp_path / "track.csv"}, 3, ALL)
    assert "track.csv" in str(error.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "track.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(MediaError, match="no CSV text"):
        read_controls({"pose": tmp_path / "track.csv"}, 3, ALL)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        read_controls({"pose": tmp_path / "nothing.csv"}, 3, ALL)


def test_the_tracks_of_a_video_are_taken_over(video):
    pose = torch.rand(5, 3)
    assert torch.equal(read_controls({"pose": video}, 5, ALL, Reader({"pose": pose})).tracks["pose"], pose)


def test_frames_of_a_video_without_a_face_hold_the_value_before_them_and_say_so(video):
    scale = torch.tensor([torch.nan, 0.1, torch.nan, torch.nan, 0.4, torch.nan])
    told = read_controls({"scale": video}, 6, ALL, Reader({"scale": scale}))
    assert torch.equal(told.tracks["scale"], torch.tensor([0.1, 0.1, 0.1, 0.1, 0.4, 0.4]))
    assert "4 of 6 frames" in told.notes[0]


def test_a_video_without_any_face_is_told(video):
    with pytest.raises(MediaError, match="no pose could be found"):
        read_controls({"pose": video}, 2, ALL, Reader({"pose": torch.full((2, 3), torch.nan)}))


def test_a_video_without_a_reader_is_told(video):
    with pytest.raises(ConfigError, match="nothing was given that finds it"):
        read_controls({"pose": video}, 2, ALL)
