"""Features of sound that still comes in: those of the whole sound, whatever the chunks, from little memory."""

import pytest
import torch
from torch import Tensor

from speech_toys import TOY_SIZE, murmur, toy_hubert, toy_whisper
from talkingface.audio import HubertSpeech, LiveFeatures, MelSpeech, MFCCSpeech, SpeechEncoder, WhisperSpeech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.pipelines.windows import LivePlan

SMALL = {"dim": 16, "blocks": 0}
PLAN = LivePlan(hop=10, lookahead=5, context=20)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    home = tmp_path_factory.mktemp("networks")
    return {
        HubertSpeech: {"weights": str(toy_hubert(home / "hubert")), **TOY_SIZE},
        WhisperSpeech: {"weights": str(toy_whisper(home / "whisper")), **TOY_SIZE},
    }


def heard(encoder: SpeechEncoder, wave: Tensor, chunk: int, ahead: int | None = None) -> Tensor:
    """Features ``(1, L, Ta, C)`` of sound ``(S,)`` that comes in by chunks, put together from the plan's windows."""
    live, steps, number, parts = LiveFeatures(encoder, ahead), encoder.rate // 25, 0, []

    def take() -> bool:
        nonlocal number
        window = PLAN.window(number, live.frames if last else None)
        if not live.ready(window.last):
            return False
        features = live.window(window.first, window.frames)
        parts.append(features[:, :, window.known * steps : (window.frames - window.draft) * steps])
        number += 1
        return True

    last = False
    for part in wave.split(chunk):
        live.push(part)
        while take():
            pass
    live.finish()
    last = True
    while number * PLAN.hop < live.frames and take():
        pass
    return torch.cat(parts, dim=2)


@pytest.mark.parametrize("kind", [MelSpeech, MFCCSpeech])
def test_without_a_network_they_are_those_of_the_whole_sound(kind):
    wave, encoder = murmur(5 * 16000 + 17), kind(**SMALL)
    torch.testing.assert_close(heard(encoder, wave[0], 1000), encoder.features(wave), atol=1e-5, rtol=1e-5)


def test_without_the_sound_behind_a_window_they_are_others():
    """Control: what is waited for is needed."""
    wave, encoder = murmur(5 * 16000 + 17), MelSpeech(**SMALL)
    assert (heard(encoder, wave[0], 1000, ahead=0) - encoder.features(wave)).abs().max() > 0.1


@pytest.mark.parametrize("kind", [HubertSpeech, WhisperSpeech])
def test_of_a_network_they_are_near_those_of_the_whole_sound(kind, toys):
    """As deviation of the error over that of the features; the control waits for nothing."""
    wave, encoder = murmur(18 * 16000), kind(**SMALL, **toys[kind])
    whole = encoder.features(wave)

    def error(ahead: int | None) -> float:
        return ((heard(encoder, wave[0], 16000, ahead) - whole).square().mean().sqrt() / whole.std()).item()

    assert error(None) < 0.03
    assert error(0) > 2 * error(None)


@pytest.mark.parametrize("kind", [HubertSpeech, WhisperSpeech, MelSpeech, MFCCSpeech])
def test_chunks_make_no_difference_at_all(kind, toys):
    wave, encoder = murmur(2 * 16000 + 17)[0], kind(**SMALL, **toys.get(kind, {}))
    wanted = heard(encoder, wave, len(wave), ahead=3)
    assert wanted.shape[2] == 51 * encoder.rate // 25
    for chunk in (640, 1000, 15999):
        assert torch.equal(heard(encoder, wave, chunk, ahead=3), wanted)


def test_samples_one_by_one_make_no_difference_either():
    wave, encoder = murmur(16017)[0], MelSpeech(**SMALL)
    assert torch.equal(heard(encoder, wave, 1), heard(encoder, wave, 640))


def test_hubert_levels_a_quiet_voice_by_what_it_has_heard(toys):
    """Loudness of all speech makes no difference to HuBERT, live as at once."""
    wave, encoder = murmur(3 * 16000)[0], HubertSpeech(**SMALL, **toys[HubertSpeech])
    loud, quiet = heard(encoder, wave, 1000, ahead=5), heard(encoder, 0.2 * wave, 1000, ahead=5)
    torch.testing.assert_close(quiet, loud, atol=1e-2, rtol=1e-2)


def test_memory_does_not_grow_with_the_sound():
    encoder, held = MelSpeech(**SMALL), []
    live = LiveFeatures(encoder)
    for number, part in enumerate(murmur(90 * 16000)[0].split(10 * 640)):
        live.push(part)
        if number:
            window = PLAN.window(number - 1)
            live.window(window.first, window.frames)
            held.append(live.held)
    assert live.frames == 2250
    samples, frames = zip(*held, strict=True)
    assert max(samples[150:]) == max(samples[:75]) <= (encoder.piece_frames + live.context + 10) * 640
    assert set(frames[10:]) == {35}  # one window


def test_sound_that_ends_within_a_frame_fills_it():
    live = LiveFeatures(MelSpeech(**SMALL))
    live.push(torch.zeros(700))
    assert (live.frames, live.ready(1)) == (1, False)
    live.finish()
    assert (live.frames, live.ready(2)) == (2, True)
    assert live.window(0, 2).shape[2] == 8


@pytest.mark.parametrize(("first", "frames"), [(10, 5), (20, 6), (20, 0)])
def test_frames_that_are_not_there_are_refused(first, frames):
    live = LiveFeatures(MelSpeech(**SMALL))
    live.push(torch.zeros(26 * 640))
    live.window(15, 10)
    with pytest.raises(ShapeError, match="frames before 15 are forgotten, and 26 came in"):
        live.window(first, frames)


@pytest.mark.parametrize("wave", [torch.zeros(1, 640), torch.full((9,), torch.nan), torch.zeros(9, dtype=torch.int16)])
def test_what_is_no_sound_is_refused(wave):
    with pytest.raises(ShapeError):
        LiveFeatures(MelSpeech(**SMALL)).push(wave)


def test_sound_behind_the_end_is_refused():
    live = LiveFeatures(MelSpeech(**SMALL))
    live.finish()
    with pytest.raises(ShapeError, match="behind the end"):
        live.push(torch.zeros(640))


def test_one_cannot_wait_for_the_past():
    with pytest.raises(ConfigError, match="-1 frames"):
        LiveFeatures(MelSpeech(**SMALL), ahead=-1)
