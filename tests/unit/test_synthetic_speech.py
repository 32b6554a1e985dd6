"""The formant synthesiser alone: what it says has the sound of what it was told."""

import numpy as np
import pytest

from talkingface.data.synthetic import Phoneme
from talkingface.data.synthetic.phonemes import SOUNDS, random_speech
from talkingface.data.synthetic.speech import SAMPLE_RATE, synthesise
from talkingface.data.synthetic.visemes import mouth_track

SECONDS = 0.6


def say(symbol, pitch=120.0, tract=1.0, seed=0):
    wave = synthesise(
        (Phoneme(symbol, 0.0, SECONDS),), int(SECONDS * SAMPLE_RATE), pitch, tract, np.random.default_rng(seed)
    )
    return wave[2000:-2000].astype(float)


def spectrum(wave):
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    return np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE), power


def share_above(wave, hertz):
    frequency, power = spectrum(wave)
    return power[frequency > hertz].sum() / power.sum()


def envelope_peak(wave, low, high):
    """Frequency of the strongest part between two frequencies, harmonics smoothed away."""
    frequency, power = spectrum(wave)
    smooth = np.convolve(power, np.hanning(81), mode="same")
    band = (frequency > low) & (frequency < high)
    return frequency[band][smooth[band].argmax()]


def fundamental(wave):
    ring = np.correlate(wave, wave, mode="full")[len(wave) - 1 :]
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    return SAMPLE_RATE / (low + ring[low:high].argmax())


@pytest.mark.parametrize("symbol", sorted(SOUNDS))
def test_every_phoneme_gives_a_finite_wave_in_range(symbol):
    wave = say(symbol)
    assert np.isfinite(wave).all()
    assert np.abs(wave).max() <= 1


@pytest.mark.parametrize("pitch", [100.0, 200.0])
def test_a_vowel_has_the_pitch_of_the_voice(pitch):
    assert fundamental(say("aa", pitch)) == pytest.approx(1.08 * pitch, rel=0.12)  # a phrase begins a little high


@pytest.mark.parametrize("symbol", ["iy", "ih", "eh", "ae"])
def test_a_front_vowel_has_its_second_formant(symbol):
    second = SOUNDS[symbol].formants[1]
    assert envelope_peak(say(symbol, 80.0), second - 400, second + 400) == pytest.approx(second, abs=170)


def test_a_shorter_vocal_tract_raises_the_formants():
    assert envelope_peak(say("iy", 80, 1.2), 1700, 3100) > 1.1 * envelope_peak(say("iy", 80, 1.0), 1700, 2700)


def test_s_hisses_high_and_vowels_do_not():
    assert share_above(say("s"), 4000) > 0.8
    assert share_above(say("aa"), 4000) < 0.1


def test_the_noise_comes_from_the_seed():
    assert np.array_equal(say("s", seed=1), say("s", seed=1))
    assert not np.array_equal(say("s", seed=1), say("s", seed=2))


def test_a_plosive_is_silent_before_it_bursts():
    parts = (Phoneme("aa", 0, 0.3), Phoneme("t", 0.3, 0.42), Phoneme("aa", 0.42, 0.7))
    wave = synthesise(parts, int(0.7 * SAMPLE_RATE), 120.0, 1.0, np.random.default_rng(0))

    def level(start, end):
        return np.sqrt((wave[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] ** 2).mean())

    assert level(0.345, 0.365) < 0.3 * level(0.375, 0.40)
    assert level(0.345, 0.365) < 0.1 * level(0.1, 0.25)


def test_speech_is_drawn_from_the_generator():
    first, second, other = (random_speech(np.random.default_rng(seed), 3.0) for seed in (1, 1, 2))
    assert first == second
    assert first != other


@pytest.mark.parametrize("seconds", [0.04, 0.2, 1.0, 8.0])
def test_speech_fills_any_length(seconds):
    speech = random_speech(np.random.default_rng(3), seconds)
    assert speech.phonemes[0].start == 0
    assert speech.phonemes[-1].end == pytest.approx(seconds)
    assert all(0 <= time <= seconds for time in speech.stresses)


def test_neighbours_colour_each_other():
    """Coarticulation: the lips are already rounding before the vowel that needs it begins."""
    parts = (Phoneme("sil", 0, 0.4), Phoneme("uw", 0.4, 0.8), Phoneme("sil", 0.8, 1.2))
    rounding = mouth_track(parts, 30)[:, 2]
    time = (np.arange(30) + 0.5) / 25
    assert rounding[(time > 0.34) & (time < 0.4)].max() > 0.05
    assert rounding[time < 0.25].max() < 0.01
    assert rounding[(time > 0.5) & (time < 0.7)].min() > 0.9
