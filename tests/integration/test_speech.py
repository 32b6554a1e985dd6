"""A portrait moved by speech, from Python: length, seeds, seams, controls, crop."""

import numpy as np
import pytest
import torch
from torch import Tensor

import talkingface
from talkingface.audio import MelSpeech
from talkingface.core.errors import ConfigError, MediaError, ShapeError, WeightsError
from talkingface.core.interfaces import MotionGenerator
from talkingface.core.media import VideoReader, VideoWriter, read_audio, write_audio
from talkingface.core.motion_spec import MotionSpec
from talkingface.data.synthetic import render_clip
from talkingface.generators import ConformerDiffusion
from talkingface.pipelines.windows import seam_ratio

SIZE = 32
PORTRAIT = np.full((SIZE, SIZE, 3), (60, 90, 120), np.uint8)
SECOND = 16000


class Walk(MotionGenerator):
    """A random walk from the start motion, a little louder where the speech is; it remembers what it was told."""

    spec = MotionSpec("vector", {"colour": 3})
    attributes = ("pose", "location")

    def __init__(self, *, goes_on: bool = True) -> None:
        super().__init__()
        self.goes_on = goes_on
        self.told: list[dict] = []

    def loss(self, motion, condition, generator=None):
        raise NotImplementedError

    def sample(self, condition, generator, *, prefix=None, steps=50, guidance=1.0):
        self.told.append({"condition": condition, "prefix": prefix, "steps": steps, "guidance": guidance})
        frames = condition.audio.shape[1]
        pace = 0.01 + 0.001 * condition.audio.mean(-1, keepdim=True).sigmoid()
        drawn = pace * torch.randn(1, frames, 3, generator=generator)
        if prefix is None or not self.goes_on:
            return condition.start_motion[:, None] * self.goes_on + drawn.cumsum(1)
        return torch.cat([prefix, prefix[:, -1:] + drawn[:, prefix.shape[1] :].cumsum(1)], dim=1)


@pytest.fixture
def animator(plugin):
    from toy_plugin import ColourMotion, TintRenderer

    torch.manual_seed(0)
    encoder = ColourMotion()
    renderer = TintRenderer(encoder, size=SIZE)
    return talkingface.Animator(encoder, renderer, MelSpeech(dim=8, blocks=0), Walk(), device="cpu")


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """A voice-like sound: a buzz whose loudness wanders."""
    time = np.arange(round(seconds * SECOND)) / SECOND
    loudness = 0.2 + 0.2 * np.sin(2 * np.pi * (3 + 0.1 * seed) * time)
    return (loudness * np.sign(np.sin(2 * np.pi * 120 * time))).astype(np.float32)


def rendered(animation) -> np.ndarray:
    return np.concatenate(list(animation.frames()))


def motion(animation, batch: int = 8) -> Tensor:
    return torch.cat(list(animation.motion.stream(batch)))


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (640, 1), (641, 2), (1600, 3), (SECOND, 25), (80001, 126)])
def test_a_frame_for_every_40_ms_that_are_begun(animator, samples, frames):
    animation = animator.animate(PORTRAIT, audio=speech(6)[:samples])
    assert len(animation) == frames
    assert motion(animation).shape == (frames, 3)


def test_a_saved_video_has_every_frame_and_the_speech_that_was_given(animator, tmp_path):
    write_audio(tmp_path / "speech.wav", speech(1.5))
    path = animator.animate(PORTRAIT, audio=tmp_path / "speech.wav").save(tmp_path / "out.mp4")
    reader = VideoReader(path)
    assert (len(reader), reader.info.width, reader.info.height) == (38, SIZE, SIZE)
    heard, meant = read_audio(path), speech(1.5)
    assert np.corrcoef(heard[: len(meant)], meant)[0, 1] > 0.98


def test_one_seed_repeats_bit_for_bit_and_two_differ(animator):
    first, again, other = (animator.animate(PORTRAIT, audio=speech(6), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(motion(first), motion(again))
    assert torch.equal(motion(first), motion(first))  # streamed twice
    assert np.array_equal(rendered(first), rendered(again))
    assert not torch.equal(motion(first), motion(other))


def test_the_result_does_not_depend_on_the_batch(animator):
    results = [rendered(animator.animate(PORTRAIT, audio=speech(6), batch=batch)) for batch in (1, 8, 500)]
    assert all(np.array_equal(results[0], result) for result in results)
    assert max(len(part) for part in animator.animate(PORTRAIT, audio=speech(6), batch=7).frames()) == 7


def test_the_motion_depends_on_the_speech(animator):
    assert not torch.equal(
        motion(animator.animate(PORTRAIT, audio=speech(2))), motion(animator.animate(PORTRAIT, audio=speech(2, seed=9)))
    )


def test_the_first_window_starts_from_the_portrait_and_the_next_from_the_one_before(animator):
    moved = motion(animator.animate(PORTRAIT, audio=speech(10)))  # frames 0 to 124, 100 to 224, 125 to 249
    told = animator.motion_generator.told
    assert [len(window["condition"].audio[0]) for window in told] == [125, 125, 125]
    start = animator.appearance(PORTRAIT)
    assert torch.equal(told[0]["condition"].start_motion, start.motion)
    assert torch.equal(told[0]["condition"].portrait, start.identity)
    assert told[0]["prefix"] is None
    for window, first, known in ((told[1], 100, 25), (told[2], 125, 100)):
        assert torch.equal(window["condition"].start_motion[0], moved[first - 1])
        assert torch.equal(window["prefix"][0], moved[first : first + known])


def test_windows_hear_the_speech_at_their_place(animator):
    motion(animator.animate(PORTRAIT, audio=speech(10)))
    first, second, third = (window["condition"].audio for window in animator.motion_generator.told)
    # Convolutions at the edge of a window do not hear beyond it.
    assert torch.allclose(first[:, 102:123], second[:, 2:23], atol=1e-5)
    assert torch.allclose(second[:, 27:123], third[:, 2:98], atol=1e-5)
    assert not torch.allclose(first[:, 2:23], second[:, 2:23], atol=1e-3)  # the control


def test_joints_of_windows_are_no_larger_than_any_other_step(animator):
    animation = animator.animate(PORTRAIT, audio=speech(40))
    assert seam_ratio(motion(animation), animation.motion.windows) < 3
    animator.motion_generator.goes_on = False  # the control: windows that do not know of each other
    animation = animator.animate(PORTRAIT, audio=speech(40))
    assert seam_ratio(motion(animation), animation.motion.windows) > 10


def test_motion_is_made_while_frames_are_asked_for(animator):
    frames = animator.animate(PORTRAIT, audio=speech(60)).frames()
    next(frames)
    assert len(animator.motion_generator.told) == 1


def test_sampler_settings_reach_the_generator(animator):
    motion(animator.animate(PORTRAIT, audio=speech(1), steps=7, guidance=2.5))
    told = animator.motion_generator.told[0]
    assert (told["steps"], told["guidance"]) == (7, 2.5)


def test_controls_reach_every_window_at_its_place(animator):
    pose = np.linspace(-10, 10, 250, dtype=np.float32)[:, None].repeat(3, 1)
    animation = animator.animate(PORTRAIT, audio=speech(10), pose=pose, location=0.4)
    motion(animation)
    for window, first in zip(animator.motion_generator.told, (0, 100, 125), strict=True):
        controls = window["condition"].controls
        assert np.array_equal(controls["pose"][0], pose[first : first + 125])
        assert torch.equal(controls["location"], torch.full((1, 125), 0.4))
    assert animation.notes == ("no face found in the portrait: the whole square is animated.",)


def test_what_a_user_should_know_is_logged_and_kept(animator, caplog):
    animation = animator.animate(PORTRAIT, audio=speech(1), pose=np.zeros((10, 3)), crop="none")
    assert animation.notes == ("pose has 10 frames and the speech 25: its last value is held.",)
    assert animation.notes[0] in caplog.text


def test_silence_is_animated(animator):
    assert torch.isfinite(motion(animator.animate(PORTRAIT, audio=np.zeros(SECOND, np.float32)))).all()


@pytest.mark.parametrize("wave", [np.full(SECOND, np.nan, np.float32), np.zeros((2, SECOND), np.float32)])
def test_samples_that_are_no_sound_are_refused(animator, wave):
    with pytest.raises(ShapeError):
        animator.animate(PORTRAIT, audio=wave)


def test_no_samples_are_refused(animator):
    with pytest.raises(MediaError, match="zero samples"):
        animator.animate(PORTRAIT, audio=np.zeros(0, np.float32))


def test_a_generator_with_broken_weights_is_one_clear_error(animator, monkeypatch):
    monkeypatch.setattr(animator.motion_generator, "sample", lambda *told, **more: torch.full((1, 25, 3), torch.nan))
    with pytest.raises(WeightsError, match="Walk drew values that are NaN"):
        rendered(animator.animate(PORTRAIT, audio=speech(1)))


def test_either_speech_or_a_driving_video_is_needed(animator, tmp_path):
    with pytest.raises(ConfigError, match="either"):
        animator.animate(PORTRAIT)
    with pytest.raises(ConfigError, match="not both"):
        animator.animate(PORTRAIT, audio=speech(1), driving=tmp_path / "clip.mp4")


def test_what_belongs_to_the_other_way_of_driving_is_refused(animator, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(PORTRAIT[None])
    with pytest.raises(ConfigError, match="relative"):
        animator.animate(PORTRAIT, audio=speech(1), relative=True)
    with pytest.raises(ConfigError, match="pose"):
        animator.animate(PORTRAIT, driving=tmp_path / "clip.mp4", pose=(1, 2, 3))


def test_a_model_without_speech_says_how_to_get_one_that_has_it(animator):
    silent = talkingface.Animator(animator.motion_encoder, animator.renderer, device="cpu")
    with pytest.raises(ConfigError, match=r"no audio encoder and motion generator.*stage 2"):
        silent.animate(PORTRAIT, audio=speech(1))


def test_what_is_read_is_never_overwritten(animator, tmp_path):
    with VideoWriter(tmp_path / "talk.mp4", audio=speech(1)) as writer:
        writer.write(PORTRAIT[None].repeat(25, 0))
    before = (tmp_path / "talk.mp4").read_bytes()
    with pytest.raises(MediaError, match="is the speech"):
        animator.animate(PORTRAIT, audio=tmp_path / "talk.mp4").save(tmp_path / "talk.mp4")
    with pytest.raises(MediaError, match="is the portrait"):
        animator.animate(tmp_path / "talk.mp4", audio=speech(1)).save(tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == before


def full_picture() -> np.ndarray:
    picture = np.full((200, 320, 3), 90, np.uint8)
    picture[60:188, 150:278] = render_clip(5, 0, 1, 128, audio=False).frames[0]
    return picture


def test_the_face_of_a_full_picture_is_animated_and_put_back(animator):
    picture = full_picture()
    square = rendered(animator.animate(picture, audio=speech(0.2)))
    assert square.shape == (5, SIZE, SIZE, 3)
    whole = rendered(animator.animate(picture, audio=speech(0.2), paste_back=True))
    assert whole.shape == (5, *picture.shape)
    assert np.array_equal(whole[:, :, :100], picture[None, :, :100].repeat(5, 0))  # nothing moves far from the face
    assert not np.array_equal(whole[0], picture)


def test_a_renderer_that_changes_nothing_leaves_no_seam(animator, monkeypatch):
    monkeypatch.setattr(
        animator.motion_generator, "sample", lambda told, *_, **__: told.start_motion[:, None].repeat(1, 5, 1)
    )
    animator.renderer.size = 64
    picture = full_picture()
    whole = rendered(animator.animate(picture, audio=speech(0.2), crop=(182, 90, 64), paste_back=True))
    assert np.array_equal(whole, picture[None].repeat(5, 0))


def test_a_saved_model_speaks_as_the_one_in_memory(plugin, tmp_path):
    from toy_plugin import ColourMotion, TintRenderer

    torch.manual_seed(0)
    encoder, hearing = ColourMotion(), MelSpeech(dim=8, blocks=0)
    generator = ConformerDiffusion(encoder, hearing, dim=16, blocks=1, static=8, hidden=8)
    parts = {
        "motion_encoder": encoder,
        "renderer": TintRenderer(encoder, size=SIZE),
        "audio_encoder": hearing,
        "motion_generator": generator,
    }
    talkingface.save_model(tmp_path / "model", parts, {})
    asked = {"audio": speech(6), "steps": 2, "pose": (5, 0, 0), "scale": 0.3, "seed": 3}
    wanted = rendered(talkingface.Animator(**parts, device="cpu").animate(PORTRAIT, **asked))
    assert np.array_equal(rendered(talkingface.load(tmp_path / "model", "cpu").animate(PORTRAIT, **asked)), wanted)
    with pytest.raises(ConfigError, match="guidance"):
        rendered(talkingface.load(tmp_path / "model", "cpu").animate(PORTRAIT, **{**asked, "guidance": 2.0}))


def test_the_published_architecture_speaks():
    from talkingface.motion import LatentMotion
    from talkingface.renderers import LIARenderer

    torch.manual_seed(0)
    encoder, hearing = LatentMotion(size=64, width=0.0625, code_dim=32), MelSpeech(dim=8, blocks=1)
    generator = ConformerDiffusion(encoder, hearing, dim=40, blocks=1, static=8, hidden=8)
    renderer = LIARenderer(encoder, size=64, width=0.0625)
    animator = talkingface.Animator(encoder, renderer, hearing, generator, device="cpu")
    animation = animator.animate(PORTRAIT, audio=speech(5.5), steps=5)
    assert rendered(animation).shape == (138, 64, 64, 3)
    assert len(animation.motion.windows) == 2
