"""A video with another speech: what changes, what stays, how long it is, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from speech_toys import murmur, save_editor
from talkingface.cli.main import main
from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import VideoReader, VideoWriter, read_audio, write_audio
from talkingface.data.synthetic import render_clip
from talkingface.pipelines import load, trail

FRAMES, LEFT, TOP, SIDE = 20, 40, 10, 64  # of the video, and where its face's picture lies in 96 x 144
DARK = (6, 7)  # frames without a face
FACE = torch.tensor([[16.0, 8.0, 48.0, 50.0]]) + torch.tensor([LEFT, TOP, LEFT, TOP])
POINTS = torch.tensor([[26.0, 24], [38, 24], [32, 32], [27, 40], [37, 40]]) + torch.tensor([LEFT, TOP])


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with a model that edits, one that does not, a video and a speech."""
    folder = tmp_path_factory.mktemp("models")
    save_editor(folder)
    frames = np.random.default_rng(0).integers(60, 90, (FRAMES, 96, 144, 3), np.uint8)
    frames[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = render_clip(0, 1, FRAMES, SIDE, audio=False).frames
    frames[list(DARK)] = 0
    with VideoWriter(folder / "clip.mp4", audio=murmur(FRAMES * 640, seed=3)[0].numpy(), crf=0) as writer:
        writer.write(frames)
    write_audio(folder / "speech.wav", murmur(FRAMES * 640)[0].numpy())
    return folder


def find(frames):
    """The face of the video, where the frame is not dark."""
    nothing = torch.zeros(0, 4), torch.zeros(0, 5, 2)
    return [(FACE, POINTS[None]) if frame.mean() > 20 else nothing for frame in frames]


@pytest.fixture(autouse=True)
def here(models, tmp_path, monkeypatch) -> None:
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trail, "find_faces", find)


@pytest.fixture
def animator(models):
    return load(models / "editor", "cpu")


@pytest.fixture
def video():
    return VideoReader("clip.mp4").read(range(FRAMES))


def speech(frames):
    return murmur(frames * 640)[0].numpy()


def rendered(dubbing):
    return np.concatenate(list(dubbing.frames()))


def mouth():
    """Where the mouth may be redrawn, ``(96, 144)``."""
    rows, columns = np.mgrid[:96, :144]
    x, y = POINTS[3:].mean(0).tolist()
    return np.hypot((columns - x) / 1.05, rows - y - 0.15 * 16) < 16


def test_only_the_mouth_is_redrawn(animator, video):
    found = rendered(animator.dub("clip.mp4", speech(FRAMES), mouth=1))
    assert found.shape == video.shape
    changed = (found != video).any((0, 3))
    assert changed.sum() > 100
    assert not changed[~mouth()].any()


def test_frames_without_a_face_are_kept_and_counted(animator, video):
    dubbing = animator.dub("clip.mp4", speech(FRAMES))
    found = rendered(dubbing)
    assert np.array_equal(found[list(DARK)], video[list(DARK)])
    assert dubbing.notes == ("2 of 20 frames show no face and are kept as they are.",)


def test_more_alpha_changes_more_from_frame_to_frame(animator, video):
    """The video's own motion is in all of them; what the speech adds grows."""
    closed = rendered(animator.dub("clip.mp4", speech(FRAMES), mouth=0)).astype(int)
    steps = [
        np.abs(rendered(animator.dub("clip.mp4", speech(FRAMES), mouth=alpha)) - closed).mean() for alpha in (0.5, 2)
    ]
    assert 0 < steps[0] < steps[1]


def test_batches_make_no_difference(animator):
    one, many = (rendered(animator.dub("clip.mp4", speech(FRAMES), batch=batch)) for batch in (1, 20))
    assert np.abs(one.astype(int) - many).max() <= 1  # a batch of another size rounds otherwise


def test_the_speech_says_how_long_it_is(animator, video):
    short, long = (animator.dub("clip.mp4", speech(frames), batch=8) for frames in (12, 45))
    assert short.notes == ("the video has 20 frames and the speech 12: its end is cut.",)
    assert long.notes == ("the video has 20 frames and the speech 45: it goes back and forth.",)
    rest = ~mouth()
    assert np.array_equal(rendered(short)[:, rest], video[:12, rest])
    turns = [*range(20), *range(18, -1, -1), *range(1, 7)]
    assert np.array_equal(rendered(long)[:, rest], video[turns][:, rest])


def test_a_video_is_decoded_once(animator, monkeypatch):
    monkeypatch.delattr(VideoReader, "read")
    assert sum(len(frames) for frames in animator.dub("clip.mp4", speech(FRAMES), batch=7).frames()) == FRAMES


def test_the_command_dubs_and_replaces_the_sound(video, capsys):
    flags = ["--model", "editor", "-o", "out.mp4", "--device", "cpu", "--mouth", "1", "--json"]
    assert main(["animate", "--source", "clip.mp4", "--audio", "speech.wav", *flags]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["frames"] == FRAMES
    assert answer["notes"] == ["2 of 20 frames show no face and are kept as they are."]
    found = VideoReader("out.mp4")
    assert (found.info.width, found.info.height) == (144, 96)
    heard, given, before = read_audio("out.mp4"), read_audio("speech.wav"), read_audio("clip.mp4")
    count = min(map(len, (heard, given, before)))
    likeness = [np.corrcoef(heard[:count], other[:count])[0, 1] for other in (given, before)]
    assert likeness[0] > 0.9 > likeness[1]


def test_a_model_that_makes_motion_anew_animates_the_first_frame(capsys):
    flags = ["--model", "other", "-o", "out.mp4", "--device", "cpu", "--crop", "none"]
    assert main(["animate", "--source", "clip.mp4", "--audio", "speech.wav", *flags]) == 0
    assert VideoReader("out.mp4").info.height == 32


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--mouth", "-1"], "the limits are 0 to 3"),
        (["--crop", "none"], "--crop cannot be asked of a video that is dubbed"),
        (["--pose", "10,0,0"], "--pose cannot be asked"),
        (["--audio", "silent.mp4"], "silent.mp4"),
    ],
)
def test_what_makes_no_sense_is_refused(flags, complaint, capsys):
    with VideoWriter("silent.mp4") as writer:
        writer.write(np.zeros((3, 32, 32, 3), np.uint8))
    files = ["--source", "clip.mp4", "--audio", "speech.wav", "--model", "editor", "-o", "out.mp4", "--device", "cpu"]
    assert main(["animate", *files, *flags]) != 0
    assert complaint in capsys.readouterr().err
    assert not Path("out.mp4").exists()


def test_a_model_that_makes_motion_anew_cannot_dub(models):
    with pytest.raises(ConfigError, match="Regression makes motion anew"):
        load(models / "other", "cpu").dub("clip.mp4", speech(3))


def test_a_video_without_any_face_is_refused(animator, monkeypatch):
    monkeypatch.setattr(trail, "find_faces", lambda frames: [(torch.zeros(0, 4), torch.zeros(0, 5, 2))] * len(frames))
    with pytest.raises(MediaError, match="no face found in any frame"):
        animator.dub("clip.mp4", speech(FRAMES)).save("out.mp4")
    assert not Path("out.mp4").exists()


def test_silent_audio_leaves_the_mouth_at_rest(animator):
    """Every frame is edited alike: what is left of motion is the video's own."""
    silence = np.zeros(FRAMES * 640, np.float32)
    spoken, silent = (animator.dub("clip.mp4", wave, mouth=1) for wave in (speech(FRAMES), silence))
    heard = [dubbing._speech.heard(0, FRAMES)[0] for dubbing in (spoken, silent)]
    inner = slice(2, -2)
    assert heard[1][inner].std(0).max() < 1e-6 < heard[0][inner].std(0).max()
