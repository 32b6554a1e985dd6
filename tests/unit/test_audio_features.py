"""Log-mel and MFCC features against slow definitions, and real speech through a real Whisper."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from media_files import tone
from speech_toys import murmur
from talkingface.audio import MelSpeech, MFCCSpeech, SpeechEncoder, WhisperSpeech
from talkingface.audio.cepstra import delta
from talkingface.audio.spectrogram import mel_filters
from talkingface.core.media import read_audio
from talkingface.core.mfcc import int16_values, mfcc

DATA = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")).parent / "data"
WHISPER = DATA / "weights" / "whisper-tiny.en-encoder"
SMALL = {"dim": 16, "blocks": 0}


@pytest.mark.parametrize("bands", [80, 128])
def test_mel_filters_are_slaneys(bands):
    from transformers.audio_utils import mel_filter_bank

    wanted = mel_filter_bank(201, bands, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    assert np.abs(mel_filters(bands).numpy() - wanted.T).max() < 1e-12


def test_mel_steps_are_those_of_a_slow_definition():
    wave = murmur(3 * 640)
    padded = torch.cat([torch.zeros(120), wave[0], torch.zeros(120)]).double()
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(400) / 400).double()
    found = MelSpeech(**SMALL).features(wave)[0, 0]
    for step in (0, 5, 11):
        power = torch.fft.rfft(padded[160 * step : 160 * step + 400] * window).abs().square()
        wanted = ((mel_filters(80) @ power).clamp(min=1e-5).log10() + 1) / 4
        torch.testing.assert_close(found[step], wanted.float(), atol=1e-5, rtol=1e-5)


def test_a_higher_tone_is_heard_in_a_higher_band():
    loudest = [
        int(MelSpeech(**SMALL).features(torch.from_numpy(tone(0.5, hertz))[None])[0, 0, 20].argmax())
        for hertz in (200, 440, 1000, 3000, 7000)
    ]
    assert loudest == sorted(set(loudest))


def test_digital_silence_is_the_floor_of_mel():
    assert (MelSpeech(**SMALL).features(torch.zeros(1, 6400)) == -1).all()


def test_mfcc_rows_are_coefficients_and_two_slopes_of_them():
    wave = murmur(10 * 640)
    rows = MFCCSpeech(**SMALL).features(wave)[0, 0]
    static = mfcc(wave[0])
    assert (len(rows), len(static)) == (40, 39)
    torch.testing.assert_close(rows[:39, :13], static.float())
    n = 20
    torch.testing.assert_close(rows[n, 13:26], ((static[n + 1] - static[n - 1]) / 2).float())
    wide = (2 * (static[n + 2] - static[n - 2]) + static[n + 1] - static[n - 1]) / 10
    torch.testing.assert_close(rows[n, 26:], wide.float())
    assert not torch.allclose(rows[n, 26:], delta(delta(static, 1), 2)[n].float())  # no slope of a slope
    assert torch.equal(rows[39], rows[38])


def test_mfcc_are_of_samples_within_one():
    """The released MFCC variants were; on the scale of 16 bits the first coefficient is higher by 20.79."""
    wave = murmur(6400)
    first = MFCCSpeech(**SMALL).features(wave)[0, 0, :39, 0]
    assert (mfcc(int16_values(wave[0]))[:, 0] - first).mean() == pytest.approx(2 * math.log(32768), abs=0.01)


def test_slopes_repeat_the_ends():
    ramp = torch.arange(6.0)[:, None]
    assert delta(ramp, 2).flatten().tolist() == pytest.approx([0.5, 0.8, 1.0, 1.0, 0.8, 0.5])


@pytest.fixture(params=[MelSpeech, MFCCSpeech])
def local(request) -> SpeechEncoder:
    return request.param(**SMALL)


def test_speech_two_frames_later_gives_features_two_frames_later(local):
    wave = murmur(50 * 640)
    steps = local.rate // 25
    now, later = local.features(wave), local.features(torch.cat([torch.zeros(1, 1280), wave], dim=1))
    inner = slice(2 * steps, 48 * steps)
    torch.testing.assert_close(later[:, :, 4 * steps : 50 * steps], now[:, :, inner], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(later[:, :, inner], now[:, :, inner], atol=0.1)  # the control


@pytest.fixture(scope="module")
def whisper() -> WhisperSpeech:
    if not WHISPER.is_dir():
        pytest.skip(f"no Whisper at {WHISPER}")
    return WhisperSpeech(**SMALL, weights=str(WHISPER)).eval()


def speech(name: str, seconds: float) -> torch.Tensor:
    return torch.from_numpy(read_audio(DATA / "speech" / name))[None, : round(16000 * seconds)]


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.cosine_similarity(first - first.mean(0), second - first.mean(0), dim=-1).mean())


def test_real_speech_gives_features_of_its_own_length(whisper):
    features = whisper.features(speech("jfk.flac", 3.0))
    assert features.shape == (1, 5, 150, 384)
    assert features.isfinite().all()


def test_whisper_hears_the_same_words_two_frames_later(whisper):
    wave = speech("jfk.flac", 5.0)
    now = whisper.features(wave)[0, -1]
    later = whisper.features(torch.cat([torch.zeros(1, 1280), wave], dim=1))[0, -1]
    moved, still = cosine(now[8:242], later[12:246]), cosine(now[8:242], later[8:242])
    assert moved > 0.95
    assert moved > still + 0.1  # the control


def test_whisper_tells_silence_from_speech(whisper):
    spoken, silent = (whisper.features(wave)[0, -1] for wave in (speech("jfk.flac", 3.0), torch.zeros(1, 48000)))
    assert cosine(spoken, silent) < 0.5


def test_whisper_tells_sounds_apart(whisper):
    """Steps of one sentence differ more than the same steps with a little noise."""
    wave = speech("jfk.flac", 5.0)
    clean = whisper.features(wave)[0, -1]
    noisy = whisper.features(wave + 0.002 * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0)))[0, -1]
    assert cosine(clean, noisy) > cosine(clean, clean.roll(25, 0)) + 0.3
