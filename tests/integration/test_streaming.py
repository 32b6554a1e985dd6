"""A portrait that speaks live: the frames of the offline path, soon, without drift, in bounded memory."""

import numpy as np
import pytest
import torch
from torch import Tensor

import talkingface
from speech_toys import TOY_SIZE, murmur, toy_hubert
from talkingface.audio import HubertSpeech, MelSpeech
from talkingface.core.errors import ConfigError, ShapeError, WeightsError
from talkingface.core.motion_spec import MotionSpec
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LivePortraitMotion, Retargeting
from talkingface.pipelines.streaming import LiveMotion, SpeechStream
from talkingface.pipelines.windows import LivePlan
from talkingface.renderers import FaceVid2VidRenderer

SIZE = 32
PORTRAIT = np.full((SIZE, SIZE, 3), (60, 90, 120), np.uint8)
PLAN = LivePlan(hop=10, lookahead=5, context=20)
SECOND = 16000


def talker(audio_encoder) -> talkingface.Animator:
    """Motion by diffusion with random weights, and a renderer that shifts colours."""
    from toy_plugin import ColourMotion, TintRenderer

    torch.manual_seed(0)
    encoder = ColourMotion()
    generator = ConformerDiffusion(encoder, audio_encoder, dim=16, blocks=1, static=8, hidden=8)
    return talkingface.Animator(encoder, TintRenderer(encoder, size=SIZE), audio_encoder, generator, device="cpu")


@pytest.fixture
def animator(plugin):
    return talker(MelSpeech(dim=8, blocks=1))


def speech(seconds: float) -> np.ndarray:
    return murmur(round(seconds * SECOND))[0].numpy()


def streamed(animator, wave: np.ndarray, chunk: int, **asked) -> np.ndarray:
    stream = SpeechStream(animator, PORTRAIT, **{"steps": 2, "plan": PLAN, **asked})
    parts = [stream.push(wave[first : first + chunk]) for first in range(0, len(wave), chunk)]
    return np.concatenate([*parts, stream.finish()])


def live_motion(animator, wave: Tensor, **asked) -> Tensor:
    """All motion ``(T, D)`` of a stream, which comes in by seconds."""
    stream = SpeechStream(animator, PORTRAIT, **{"steps": 2, "plan": PLAN, **asked}).motion
    return torch.cat([*(stream.push(part) for part in wave.split(SECOND)), stream.finish()])


def offline_motion(animator, wave: np.ndarray, plan: LivePlan = PLAN, **asked) -> Tensor:
    """Motion of :meth:`Animator.animate` with the windows of a live plan."""
    motion = animator.animate(PORTRAIT, audio=wave, steps=2, **asked).motion
    motion.windows = plan.windows(len(motion))
    return torch.cat(list(motion.stream(8)))


@pytest.mark.parametrize("chunk", [640, 1000, 10**9])
def test_chunks_make_no_difference_at_all(animator, chunk):
    frames = streamed(animator, speech(6.01), chunk)
    assert frames.shape == (151, SIZE, SIZE, 3)
    assert np.array_equal(frames, streamed(animator, speech(6.01), 3333))


def test_samples_one_by_one_make_no_difference_either(animator):
    wave, plan = speech(0.25), LivePlan(hop=2, lookahead=1, context=2)
    frames = streamed(animator, wave, 1, plan=plan)
    assert len(frames) == 7
    assert np.array_equal(frames, streamed(animator, wave, 3333, plan=plan))


@pytest.mark.parametrize("seconds", [0.01, 0.3, 6.01, 21])
def test_the_motion_is_that_of_the_offline_path(animator, seconds):
    wave = speech(seconds)
    live = live_motion(animator, torch.from_numpy(wave))
    torch.testing.assert_close(live, offline_motion(animator, wave), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", [{"seed": 1}, {"plan": LivePlan(hop=10, lookahead=6, context=20)}, {"ahead": 0}])
def test_another_seed_plan_or_hearing_makes_another_motion(animator, change):
    """Control of the tests above."""
    wave = speech(3)
    other = live_motion(animator, torch.from_numpy(wave), **change)
    assert (other - offline_motion(animator, wave)).abs().max() > 1e-3


def test_controls_hold_for_all_frames_as_offline(animator):
    wave = speech(3)
    asked = {"pose": (10.0, 0.0, -5.0), "location": 0.4, "scale": 0.3}
    live = live_motion(animator, torch.from_numpy(wave), **asked)
    torch.testing.assert_close(live, offline_motion(animator, wave, **asked), atol=1e-5, rtol=1e-5)
    assert (live - live_motion(animator, torch.from_numpy(wave))).abs().max() > 1e-3


def test_an_emotion_holds_for_all_frames(plugin):
    from toy_plugin import ColourMotion, TintRenderer

    torch.manual_seed(0)
    encoder, hearing = ColourMotion(), MelSpeech(dim=8, blocks=0)
    encoder.spec = MotionSpec("vector", {"expression": 3})
    generator = ConformerDiffusion(
        encoder, hearing, dim=16, blocks=1, static=8, hidden=8, emotions=["neutral", "happy"]
    )
    generator.calibrate(torch.randn(50, 3), {"neutral": torch.zeros(9, 3), "happy": torch.ones(9, 3)})
    animator = talkingface.Animator(encoder, TintRenderer(encoder, size=SIZE), hearing, generator, device="cpu")
    wave = torch.from_numpy(speech(3))
    happy = live_motion(animator, wave, emotion="happy", strength=0.5)
    assert torch.equal(happy, live_motion(animator, wave, emotion=(0.5, 0.5, 0.5)))
    assert not torch.equal(happy, live_motion(animator, wave, emotion="happy"))
    assert not torch.equal(happy, live_motion(animator, wave))
    with pytest.raises(ConfigError, match="this model has: happy, neutral"):
        live_motion(animator, wave, emotion="hapy")
    with pytest.raises(ConfigError, match="changes over time"):
        live_motion(animator, wave, emotion="moods.csv")


def test_a_model_of_keypoints_speaks_stitched_and_with_emotion_as_offline():
    """Takin-ADA's parts, small; a stitched portrait in its full picture."""
    torch.manual_seed(0)
    encoder, hearing = LivePortraitMotion(size=64, width=0.0625), MelSpeech(dim=8, blocks=0)
    generator = ConformerDiffusion(encoder, hearing, dim=16, blocks=1, static=8, emotions=["neutral", "happy"])
    generator.calibrate(torch.randn(50, 70), {"neutral": torch.zeros(9, 70), "happy": torch.ones(9, 70)})
    renderer, retargeting = FaceVid2VidRenderer(encoder, size=64, width=0.0625, depth=2), Retargeting()
    torch.nn.init.normal_(retargeting.stitching[-1].weight, std=0.3)
    parts = (encoder, renderer, hearing, generator)
    animator = talkingface.Animator(*parts, retargeting, device="cpu")
    picture = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    asked = {"steps": 2, "emotion": "happy", "strength": 0.5, "crop": (20, 8, 64), "paste_back": True}

    def live(animator: talkingface.Animator) -> np.ndarray:
        stream = SpeechStream(animator, picture, plan=LivePlan(hop=4, lookahead=2, context=4), **asked)
        return np.concatenate([stream.push(speech(0.35)), stream.finish()])

    animation = animator.animate(picture, audio=speech(0.35), **asked)
    animation.motion.windows = LivePlan(hop=4, lookahead=2, context=4).windows(9)
    offline = np.concatenate(list(animation.frames()))
    assert live(animator).shape == (9, 80, 100, 3)
    assert np.abs(live(animator).astype(int) - offline).max() <= 1
    assert not np.array_equal(live(animator), live(talkingface.Animator(*parts, device="cpu")))  # not stitched


def test_hubert_is_near_the_offline_path(plugin, tmp_path):
    """It differs by the level of what was not heard yet, and by sound more than three seconds away."""
    animator = talker(HubertSpeech(dim=8, blocks=1, weights=str(toy_hubert(tmp_path / "hubert")), **TOY_SIZE))
    wave = speech(6)
    live, offline = live_motion(animator, torch.from_numpy(wave)), offline_motion(animator, wave)
    deaf = live_motion(animator, torch.from_numpy(wave), ahead=0)
    assert (live - offline).abs().mean() < 0.02 * offline.std()
    assert (deaf - offline).abs().mean() > (live - offline).abs().mean()


def test_a_frame_comes_no_later_than_promised(animator):
    stream, spoken, waited = SpeechStream(animator, PORTRAIT, steps=2, plan=PLAN), 0, []
    assert stream.delay == pytest.approx((10 - 1 + 5 + 1) / 25)
    wave, shown = speech(8), 0
    for first in range(0, len(wave), 320):  # 20 ms
        frames = stream.push(wave[first : first + 320])
        spoken += 320
        waited += [spoken / SECOND - (shown + number + 1) / 25 for number in range(len(frames))]
        shown += len(frames)
    assert max(waited) == pytest.approx(stream.delay)
    assert min(waited) == pytest.approx(stream.delay - 9 / 25)


def minute_by_minute(animator) -> tuple[LiveMotion, list[Tensor], list[tuple[int, int]]]:
    """Five minutes of speech: the stream, motion of each minute, what was held at each second."""
    stream = SpeechStream(animator, PORTRAIT, steps=2, plan=LivePlan(hop=50, lookahead=5, context=25)).motion
    wave, minutes, held = murmur(60 * SECOND)[0], [], []
    for _ in range(5):
        parts = []
        for part in wave.split(SECOND):
            parts.append(stream.push(part))
            held.append(stream.features.held)
        minutes.append(torch.cat(parts))
    minutes[-1] = torch.cat([minutes[-1], stream.finish()])
    return stream, minutes, held


def drifts(minutes: list[Tensor]) -> bool:
    """Whether a minute's mean is off the first one's by a tenth of its deviation, or its deviation by a tenth."""
    means = torch.stack([minute.mean(0) for minute in minutes])
    deviations = torch.stack([minute.std(0) for minute in minutes])
    off = (means - means[0]).abs() > 0.1 * deviations[0]
    return bool((off | ((deviations / deviations[0] - 1).abs() > 0.1)).any())


def test_five_minutes_do_not_drift_and_hold_no_more_than_one(animator):
    stream, minutes, held = minute_by_minute(animator)
    assert stream.frames == sum(map(len, minutes)) == 5 * 60 * SECOND / 640
    assert not drifts(minutes)
    samples, frames = zip(*held, strict=True)
    assert max(samples[-60:]) <= max(samples[:60]) < 15 * SECOND
    assert max(frames) == 80  # a window


def test_a_generator_that_walks_away_would_be_noticed(animator, monkeypatch):
    """Control: each window starts where the one before ended and goes on at random."""

    def walk(condition, generator, *, prefix=None, **_):
        start = condition.start_motion[:, None] if prefix is None else prefix[:, -1:]
        known = 0 if prefix is None else prefix.shape[1]
        steps = 0.1 * torch.randn(1, condition.audio.shape[1] - known, 3, generator=generator)
        walked = start + steps.cumsum(1)
        return walked if prefix is None else torch.cat([prefix, walked], dim=1)

    monkeypatch.setattr(animator.motion_generator, "sample", walk)
    assert drifts(minute_by_minute(animator)[1])


def test_the_portrait_is_seen_once(animator, monkeypatch):
    seen = []
    appearance = animator.renderer.appearance
    monkeypatch.setattr(animator.renderer, "appearance", lambda image: seen.append(1) or appearance(image))
    streamed(animator, speech(3), 640)
    assert len(seen) == 1


def test_frames_go_back_into_the_full_picture(animator):
    picture = np.full((64, 96, 3), 90, np.uint8)
    stream = SpeechStream(animator, picture, steps=2, plan=PLAN, crop=(40, 10, 32), paste_back=True)
    assert stream.size == (64, 96)
    frames = np.concatenate([stream.push(speech(2)), stream.finish()])
    assert frames.shape == (50, 64, 96, 3)
    assert (frames[:, :, :40] == 90).all()
    assert (frames[:, 20:30, 50:60] != 90).any()


def test_no_sound_makes_no_frames(animator):
    stream = SpeechStream(animator, PORTRAIT, steps=2)
    assert stream.push(np.zeros(0, np.float32)).shape == (0, SIZE, SIZE, 3)
    assert stream.finish().shape == (0, SIZE, SIZE, 3)


@pytest.mark.parametrize("samples", [np.zeros((1, 9), np.float32), np.full(9, np.nan), np.zeros(9, np.int16)])
def test_samples_that_are_no_sound_are_refused(animator, samples):
    with pytest.raises(ShapeError):
        SpeechStream(animator, PORTRAIT).push(samples)


def test_a_finished_stream_takes_no_more(animator):
    stream = SpeechStream(animator, PORTRAIT, steps=2)
    stream.finish()
    with pytest.raises(ShapeError, match="another stream"):
        stream.push(speech(1))


def test_a_generator_with_broken_weights_is_one_clear_error(animator):
    torch.nn.init.constant_(animator.motion_generator.out.bias, torch.nan)
    with pytest.raises(WeightsError, match="ConformerDiffusion drew values that are NaN"):
        SpeechStream(animator, PORTRAIT, steps=2).push(speech(2))


def test_what_the_model_cannot_do_is_told_before_anybody_speaks(animator):
    with pytest.raises(ConfigError, match="the limits are -90 to 90 degrees"):
        SpeechStream(animator, PORTRAIT, pose=(100, 0, 0))
    animator.motion_generator = None
    with pytest.raises(ConfigError, match="speech cannot drive it"):
        SpeechStream(animator, PORTRAIT)


def test_motion_alone_can_be_streamed(animator):
    stream = SpeechStream(animator, PORTRAIT, steps=2).motion
    assert isinstance(stream, LiveMotion)
    assert stream.push(torch.from_numpy(speech(2))).shape == (40, 3)
