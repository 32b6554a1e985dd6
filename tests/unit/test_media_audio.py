"""Sound: every file with a sound track becomes mono float32 at the wanted rate; bad ones give one clear line."""

import numpy as np
import pytest
import soundfile

from media_files import make_sound, make_video, numbered, tone
from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.media import read_audio, write_audio


def pitch(wave, rate=16000):
    """Frequency of the strongest partial, in Hz."""
    return np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * rate / len(wave)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sound_comes_back(tmp_path, suffix):
    write_audio(tmp_path / f"a{suffix}", tone(1.0))
    read = read_audio(tmp_path / f"a{suffix}")
    assert read.dtype == np.float32
    assert np.abs(read - tone(1.0)).max() < 1e-4  # 16 bits


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_compressed_sound_keeps_pitch_and_length(tmp_path, suffix):
    soundfile.write(tmp_path / f"a{suffix}", tone(1.0), 16000)
    read = read_audio(tmp_path / f"a{suffix}")
    assert pitch(read) == pytest.approx(440, abs=2)
    assert abs(len(read) - 16000) < 3000


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.m4a", "aac", 16000), ("a.webm", "libopus", 48000), ("a.mka", "aac", 44100)]
)
def test_sound_of_containers_is_decoded(tmp_path, name, codec, rate):
    read = read_audio(make_sound(tmp_path / name, tone(1.0, rate=rate), codec, rate))
    assert pitch(read) == pytest.approx(440, abs=2)
    assert np.abs(read[2000:14000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, rate):
    write_audio(tmp_path / "a.wav", tone(1.0, rate=rate), rate)
    read = read_audio(tmp_path / "a.wav")
    assert len(read) == 16000
    assert np.abs(read[500:15500] - tone(1.0)[500:15500]).max() < 0.01


@pytest.mark.parametrize("subtype", ["PCM_U8", "ULAW", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_width_of_samples_gives_the_same_loudness(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone(1.0, rate=44100), 44100, subtype=subtype)
    read = read_audio(tmp_path / "a.wav")
    assert pitch(read) == pytest.approx(440, abs=2)
    assert np.sqrt(np.square(read).mean()) == pytest.approx(0.5 / np.sqrt(2), abs=0.003)


def test_the_wanted_rate_may_be_another(tmp_path):
    write_audio(tmp_path / "a.wav", tone(1.0))
    assert len(read_audio(tmp_path / "a.wav", rate=48000)) == 48000


def test_channels_are_averaged(tmp_path):
    both = np.stack([tone(0.5), -tone(0.5)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, 16000)
    assert np.abs(read_audio(tmp_path / "a.wav")).max() < 1e-4
    soundfile.write(tmp_path / "b.wav", np.abs(both), 16000)  # the control
    assert np.abs(read_audio(tmp_path / "b.wav")).max() > 0.4


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.m4a", "aac", 44100), ("a.mov", "pcm_s16le", 44100), ("a.webm", "libopus", 48000)]
)
def test_channels_of_containers_are_averaged_as_those_of_files(tmp_path, name, codec, rate):
    mono = tone(1.0, rate=rate)
    alike = read_audio(make_sound(tmp_path / name, np.stack([mono, mono]), codec, rate))
    assert np.abs(alike[2000:14000]).max() == pytest.approx(0.5, abs=0.03)
    opposite = read_audio(make_sound(tmp_path / f"opposite-{name}", np.stack([mono, -mono]), codec, rate))
    assert np.abs(opposite[2000:14000]).max() < 0.05


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac")])
def test_a_tenth_of_a_second_is_enough(tmp_path, name, codec):
    read = read_audio(make_sound(tmp_path / name, tone(0.1, rate=44100), codec, 44100))
    assert 1600 <= len(read) < 2500
    assert np.abs(read).max() == pytest.approx(0.5, abs=0.1)


def test_less_than_one_sample_at_the_wanted_rate_is_one_clear_line(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(1, 0.3), 48000)
    with pytest.raises(MediaError, match=r"holds 1 samples at 48000 Hz, less than one at 16000 Hz"):
        read_audio(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.full(6, 0.3), 48000)  # the control
    assert len(read_audio(tmp_path / "b.wav")) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.filterwarnings("error")
def test_samples_that_are_no_numbers_are_one_clear_line(tmp_path, bad, rate):
    both = np.stack([tone(0.1, rate=rate), tone(0.1, rate=rate)], axis=1)
    both[1000] = bad, -bad if bad == np.inf else bad
    soundfile.write(tmp_path / "a.wav", both, rate, subtype="FLOAT")
    with pytest.raises(MediaError, match="NaN, infinite or beyond all measure"):
        read_audio(tmp_path / "a.wav")


def test_silence_stays_silence(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(44100), 44100)
    assert not read_audio(tmp_path / "a.wav").any()


def test_sound_of_a_video_starts_with_its_picture(tmp_path):
    late = [0.5 + n / 25 for n in range(25)]  # the picture starts half a second after the sound
    wave = tone(1.5)
    wave[:8000] = 0
    path = make_video(tmp_path / "a.mkv", numbered(range(25)), seconds=late, sound=wave)
    read = read_audio(path)
    assert np.argmax(np.abs(read) > 0.1) < 200
    silent_first = make_video(tmp_path / "b.mkv", numbered(range(25)), sound=wave)  # the control
    assert np.argmax(np.abs(read_audio(silent_first)) > 0.1) > 7800


def test_values_stay_within_one(tmp_path):
    soundfile.write(tmp_path / "loud.wav", 3 * tone(0.2), 16000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "loud.wav")).max() <= 1
    write_audio(tmp_path / "clipped.wav", 3 * tone(0.2))
    assert np.abs(read_audio(tmp_path / "clipped.wav")).max() <= 1


def test_bad_sound_files_give_one_clear_line_each(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound at all")
    make_video(tmp_path / "silent.mp4", numbered(range(3)))
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan], np.float32), 16000, subtype="FLOAT")
    for name, reason in {
        "missing.wav": r"missing\.wav does not exist",
        ".": "is a folder",
        "empty.wav": r"empty\.wav is empty",
        "text.wav": r"text\.wav is not a video or sound file",
        "silent.mp4": r"silent\.mp4 has no sound track",
        "none.wav": r"none\.wav holds zero samples",
        "nan.wav": r"nan\.wav holds samples that are NaN",
    }.items():
        with pytest.raises(MediaError, match=reason) as caught:
            read_audio(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_cut_off_sound_file_gives_what_is_there(tmp_path):
    whole = make_sound(tmp_path / "whole.mka", tone(4.0)).read_bytes()
    (tmp_path / "cut.mka").write_bytes(whole[: len(whole) // 2])
    assert 16000 < len(read_audio(tmp_path / "cut.mka")) < 48000


def test_unusable_waves_are_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"expected \(samples,\)"):
        write_audio(tmp_path / "a.wav", np.zeros((2, 100), np.float32))
    with pytest.raises(ShapeError, match="NaN"):
        write_audio(tmp_path / "a.wav", np.full(10, np.nan, np.float32))
    with pytest.raises(MediaError, match="zero samples"):
        write_audio(tmp_path / "a.wav", np.zeros(0, np.float32))
    with pytest.raises(MediaError, match=r"Use one of: \.wav"):
        write_audio(tmp_path / "a.m4a", tone(0.1))
    assert list(tmp_path.iterdir()) == []


def test_failing_write_leaves_the_old_sound(tmp_path, monkeypatch):
    write_audio(tmp_path / "a.wav", tone(0.1))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(MediaError, match="No space left on device"):
        write_audio(tmp_path / "a.wav", tone(0.5))
    assert len(read_audio(tmp_path / "a.wav")) == 1600
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
