import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import talkingface
from talkingface.core.errors import ConfigError, DeviceError, MediaError, ShapeError, WeightsError
from talkingface.core.images import to_float
from talkingface.core.media import VideoReader, VideoWriter, read_audio, write_picture

FRAMES = 13
SIZE = 32
COLOURS = np.linspace(60, 180, FRAMES).astype(np.uint8)
PORTRAIT = np.full((SIZE, SIZE, 3), (60, 90, 120), np.uint8)


def clip(path: Path, frames: int = FRAMES, height: int = 48, width: int = 64, sound: bool = True) -> Path:
    """Flat grey frames that become brighter, with a tone."""
    tone = np.sin(np.arange(frames * 640) * 0.2).astype(np.float32) * 0.5 if sound else None
    with VideoWriter(path, audio=tone, crf=0) as writer:
        for colour in COLOURS[:frames]:
            writer.write(np.full((height, width, 3), colour, np.uint8))
    return path


@pytest.fixture
def driving(tmp_path) -> Path:
    return clip(tmp_path / "driving.mp4")


@pytest.fixture
def animator(plugin):
    from toy_plugin import ColourMotion, TintRenderer

    encoder = ColourMotion()
    return talkingface.Animator(encoder, TintRenderer(encoder, size=SIZE), device="cpu")


def rendered(animation) -> np.ndarray:
    return animation.numpy()


def test_absolute_driving_takes_over_the_motion_as_it_is(animator, driving):
    frames = rendered(animator.animate(PORTRAIT, driving=driving))
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    assert frames.dtype == np.uint8
    assert np.abs(frames.mean((1, 2)).round() - COLOURS[:, None]).max() <= 2  # what yuv420p rounds


def test_relative_driving_adds_the_change_since_the_first_frame(animator, driving):
    frames = rendered(animator.animate(PORTRAIT, driving=driving, relative=True))
    assert np.array_equal(frames[0], PORTRAIT)
    change = frames.mean((1, 2)) - PORTRAIT.mean((0, 1))
    assert np.abs(change - (COLOURS - COLOURS[0])[:, None].astype(float)).max() <= 2


@pytest.mark.parametrize("relative", [False, True])
def test_the_result_does_not_depend_on_the_batch(animator, driving, relative):
    results = [rendered(animator.animate(PORTRAIT, driving=driving, relative=relative, batch=b)) for b in (1, 4, 64)]
    assert all(np.array_equal(one, two) for one, two in itertools.pairwise(results))


def test_an_animation_can_be_rendered_twice(animator, driving):
    animation = animator.animate(PORTRAIT, driving=driving)
    assert np.array_equal(rendered(animation), rendered(animation))


def test_the_portrait_is_encoded_once(animator, driving, monkeypatch):
    seen = []
    appearance = animator.renderer.appearance
    monkeypatch.setattr(animator.renderer, "appearance", lambda image: seen.append(len(image)) or appearance(image))
    rendered(animator.animate(PORTRAIT, driving=driving, batch=2))
    assert seen == [1]


def test_no_batch_is_larger_than_asked_for(animator, driving):
    assert [len(frames) for frames in animator.animate(PORTRAIT, driving=driving, batch=5).frames()] == [5, 5, 3]


def test_frames_are_rendered_when_they_are_asked_for(animator, driving, monkeypatch):
    made = []
    render = animator.render
    monkeypatch.setattr(animator, "render", lambda source, motion: made.append(len(motion)) or render(source, motion))
    frames = animator.animate(PORTRAIT, driving=driving, batch=4).frames()
    next(frames)
    assert made == [4]


def test_a_saved_video_has_every_frame_and_the_sound_of_the_driving_clip(animator, driving, tmp_path):
    path = animator.animate(PORTRAIT, driving=driving).save(tmp_path / "out" / "a.mp4")
    reader = VideoReader(path)
    assert len(reader) == FRAMES
    assert (reader.info.width, reader.info.height, reader.info.audio) == (SIZE, SIZE, True)
    heard, meant = read_audio(path), read_audio(driving)
    length = min(len(heard), len(meant)) - 2048  # AAC is coded twice; its ends ring
    assert np.corrcoef(heard[2048:length], meant[2048:length])[0, 1] > 0.9


def test_a_silent_driving_clip_gives_a_silent_video(animator, tmp_path):
    path = animator.animate(PORTRAIT, driving=clip(tmp_path / "d.mp4", sound=False)).save(tmp_path / "a.mp4")
    assert not VideoReader(path).info.audio


def test_progress_is_told_up_to_the_end(animator, driving, tmp_path):
    told = []
    animator.animate(PORTRAIT, driving=driving, batch=6).save(tmp_path / "a.mp4", lambda *seen: told.append(seen))
    assert told == [(6, FRAMES), (12, FRAMES), (13, FRAMES)]


def test_a_portrait_that_is_not_square_is_cut_to_its_middle(animator, driving, tmp_path):
    wide = np.zeros((64, 200, 3), np.uint8)
    wide[:, 68:132] = 200
    write_picture(tmp_path / "wide.png", wide)
    source = animator.appearance(tmp_path / "wide.png")
    assert torch.allclose(source.features[0], to_float(np.full((1, SIZE, SIZE, 3), 200, np.uint8)), atol=1e-6)


def test_the_first_frame_of_a_video_is_its_portrait(animator, driving):
    seen = animator.appearance(driving).motion
    assert seen.mean().item() == pytest.approx(COLOURS[0] / 127.5 - 1, abs=0.02)


def test_a_saved_model_animates_as_the_one_in_memory(animator, driving, tmp_path):
    parts = {"motion_encoder": animator.motion_encoder, "renderer": animator.renderer}
    talkingface.save_model(tmp_path / "model", parts, {})
    loaded = talkingface.load(tmp_path / "model", device="cpu")
    wanted = rendered(animator.animate(PORTRAIT, driving=driving))
    assert np.array_equal(rendered(loaded.animate(PORTRAIT, driving=driving)), wanted)


def test_a_model_that_cannot_animate_is_refused(animator, tmp_path):
    talkingface.save_model(tmp_path / "model", {"motion_encoder": animator.motion_encoder}, {})
    with pytest.raises(ConfigError, match="cannot animate"):
        talkingface.load(tmp_path / "model", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_read():
    with pytest.raises(DeviceError):
        talkingface.load("not/there", device="cuda")


def test_broken_weights_are_one_clear_error_and_leave_no_file(animator, driving, tmp_path):
    animator.renderer.bias.data[1] = float("nan")
    animation = animator.animate(PORTRAIT, driving=driving)
    with pytest.raises(WeightsError, match="NaN"):
        animation.save(tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["driving.mp4"]


def test_an_interrupted_video_leaves_the_old_one(animator, driving, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    animation = animator.animate(PORTRAIT, driving=driving)
    with pytest.raises(KeyboardInterrupt):
        animation.save(tmp_path / "a.mp4", stop)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "driving.mp4"]


def test_the_driving_video_is_never_overwritten(animator, driving):
    before = driving.read_bytes()
    with pytest.raises(MediaError, match="is the driving video"):
        animator.animate(PORTRAIT, driving=driving).save(driving)
    assert driving.read_bytes() == before


@pytest.mark.parametrize("source", [np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3))])
def test_an_array_that_is_no_picture_is_refused(animator, driving, source):
    with pytest.raises(ShapeError):
        animator.animate(source, driving=driving)


def test_a_driving_file_that_is_missing_is_told_at_once(animator, tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        animator.animate(PORTRAIT, driving=tmp_path / "nothing.mp4")


def test_a_batch_of_no_frames_is_refused(animator, driving):
    with pytest.raises(ConfigError, match="batch"):
        animator.animate(PORTRAIT, driving=driving, batch=0)


def test_the_published_architecture_animates(driving):
    from talkingface.motion import LatentMotion
    from talkingface.renderers import LIARenderer

    torch.manual_seed(0)
    encoder = LatentMotion(size=64, width=0.125, code_dim=32)
    animator = talkingface.Animator(encoder, LIARenderer(encoder, size=64, width=0.125), device="cpu")
    frames = rendered(animator.animate(PORTRAIT.repeat(2, 0).repeat(2, 1), driving=driving, relative=True))
    assert frames.shape == (FRAMES, 64, 64, 3)
