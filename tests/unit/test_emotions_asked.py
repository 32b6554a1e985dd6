"""Emotions that users ask for: names, vectors, references, tracks over time, and what is refused."""

import numpy as np
import pytest
import torch

from media_files import make_video
from talkingface.audio import MelSpeech
from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.media import write_picture
from talkingface.core.motion_spec import MotionSpec
from talkingface.generators import ConformerDiffusion, Regression
from talkingface.pipelines import emotions
from talkingface.pipelines.emotions import read_emotion

FELT, FRAMES = 3, 100


class Brightness(MotionEncoder):
    """Expression is how bright a picture is."""

    def __init__(self):
        super().__init__()
        self.spec = MotionSpec("vector", {"expression": FELT, "pose": 2})

    def forward(self, image):
        return image.mean((1, 2, 3))[:, None].expand(-1, 5)


def encode(frames):
    return torch.from_numpy(frames).float().mean((1, 2, 3))[:, None].expand(-1, 5) / 100


@pytest.fixture(scope="module")
def generator():
    names = ["neutral", "happy", "sad"]
    part = ConformerDiffusion(Brightness(), MelSpeech(dim=8, blocks=0), dim=16, blocks=1, static=4, emotions=names)
    moods = {"neutral": torch.zeros(10, 5), "happy": torch.ones(10, 5), "sad": -2 * torch.ones(10, 5)}
    part.calibrate(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)), moods)
    return part


def read(generator, asked, strength=1.0, crop="none"):
    return read_emotion(asked, strength, FRAMES, generator, encode, crop)


def table(tmp_path, *lines):
    path = tmp_path / "mood.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("name", "strength", "value"), [("happy", 1.0, 1.0), ("sad", 0.5, -1.0), ("sad", 0.0, 0.0)])
def test_a_name_and_its_strength(generator, name, strength, value):
    assert torch.equal(read(generator, name, strength).values, torch.full((FRAMES, FELT), value))


def test_an_unknown_name_is_refused_with_those_that_there_are(generator):
    with pytest.raises(ConfigError, match="no emotion 'hapy'; this model has: happy, sad, neutral"):
        read(generator, "hapy")


@pytest.mark.parametrize("strength", [-0.1, 1.51, float("nan")])
def test_a_strength_out_of_range_is_refused_with_the_limits(generator, strength):
    with pytest.raises(ConfigError, match=r"between 0 \(neutral\) and 1.5"):
        read(generator, "happy", strength)


def test_a_generator_without_emotions_is_refused():
    with pytest.raises(ConfigError, match="cannot be told an emotion"):
        read(Regression(Brightness(), MelSpeech(dim=8, blocks=0), dim=16, blocks=1), "happy")


def test_a_vector_holds_and_a_track_is_cut_or_held_with_a_note(generator):
    once = read(generator, [0.1, 0.2, 0.3], 0.5)
    torch.testing.assert_close(once.values, torch.tensor([0.05, 0.1, 0.15]).expand(FRAMES, -1))
    assert once.notes == ()
    ramp = np.arange(60, dtype=np.float32)[:, None].repeat(FELT, 1)
    short = read(generator, ramp)
    assert short.values[[0, 59, 60, 99], 0].tolist() == [0.0, 59.0, 59.0, 59.0]
    assert "60 frames and the speech 100: its last value is held" in short.notes[0]
    assert "its end is cut" in read(generator, np.zeros((200, FELT), np.float32)).notes[0]


@pytest.mark.parametrize("vector", [[0.1, 0.2], [[[0.1, 0.2, 0.3]]], [0.1, 0.2, float("inf")]])
def test_a_vector_that_does_not_fit_is_refused(generator, vector):
    with pytest.raises(ConfigError, match=r"shape|NaN or infinite"):
        read(generator, vector)


def test_a_track_changes_within_a_second_and_leaves_gaps_to_the_speech(generator, tmp_path):
    path = table(tmp_path, "time,emotion,strength", "0.4,happy,0.5", "2,sad,1", "3.2,none,")
    found = read(generator, path)
    values = found.values[:, 0]
    assert found.files == {"emotion track": path}
    assert values.isnan().tolist() == [frame < 10 or frame >= 80 for frame in range(FRAMES)]
    assert values[10:38].eq(0.5).all()  # until half a second before the change
    assert values[62:80].eq(-2.0).all()
    assert values[37:63].diff().le(0).all()
    assert values[37:63].diff().abs().max() < 0.11  # of 2.5


def test_a_track_counts_in_frames_too_and_takes_the_strength_of_the_call(generator, tmp_path):
    path = table(tmp_path, "Frame, Emotion", "0,happy")
    assert read(generator, path, 0.7).values.allclose(torch.tensor(0.7))


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (["emotion", "happy"], MediaError, "time or frame"),
        (["time,emotion", "0,hapy"], ConfigError, "no emotion 'hapy'"),
        (["time,emotion,strength", "0,happy,2"], ConfigError, "line 2 is 2"),
        (["time,emotion", "soon,happy"], MediaError, "line 2: time and strength"),
        (["time,emotion", "1,happy", "1,sad"], MediaError, "line 3: time 1 does not come after"),
        (["time,emotion", "-2,happy"], MediaError, "line 2"),
    ],
)
def test_a_bad_track_gives_one_clear_line(generator, tmp_path, lines, error, message):
    with pytest.raises(error, match=message):
        read(generator, table(tmp_path, *lines))


def test_a_picture_and_a_clip_give_what_they_show(generator, tmp_path):
    write_picture(tmp_path / "grey.png", np.full((64, 64, 3), 50, np.uint8))
    clip = np.zeros((80, 64, 64, 3), np.uint8)
    clip[40:] = 100
    make_video(tmp_path / "clip.mp4", clip)
    for name, value in (("grey.png", 0.5), ("clip.mp4", 0.5)):
        found = read(generator, str(tmp_path / name), 0.5)
        torch.testing.assert_close(found.values, torch.full((FRAMES, FELT), 0.5 * value), atol=0.01, rtol=0)
        assert found.files == {"emotion reference": tmp_path / name}


def test_a_reference_is_cut_round_its_face(generator, tmp_path, monkeypatch):
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[40:120, 60:140] = 200
    write_picture(tmp_path / "wide.png", picture)
    monkeypatch.setattr(emotions, "find_boxes", lambda frames: torch.tensor([[75.0, 55.0, 125.0, 105.0]]))
    assert read(generator, tmp_path / "wide.png", crop="auto").values.allclose(torch.tensor(2.0))
    assert read(generator, tmp_path / "wide.png").values.max() < 1.0  # the control


def test_a_reference_without_a_face_is_refused(generator, tmp_path, monkeypatch):
    write_picture(tmp_path / "wall.png", np.full((64, 64, 3), 50, np.uint8))
    monkeypatch.setattr(emotions, "find_boxes", lambda frames: torch.full((len(frames), 4), torch.nan))
    with pytest.raises(MediaError, match=r"no face found in .*wall\.png"):
        read(generator, tmp_path / "wall.png", crop="auto")


def test_a_reference_that_is_not_there_is_refused(generator, tmp_path):
    with pytest.raises(MediaError, match=r"gone\.jpg"):
        read(generator, tmp_path / "gone.jpg")
