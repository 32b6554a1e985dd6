"""Tracks on disk: what is in them, what they are named after, when they are made again."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from clip_toys import Loudness, latent
from media_files import make_video, noise_pictures, tone
from talkingface.core.errors import MediaError
from talkingface.core.images import to_float
from talkingface.data.folder import ClipFile, scan_folder
from talkingface.data.tracks import TrackCache, is_whole, written

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tracks"


class Toy:
    """A clip in memory that counts how often it is read."""

    identity = "anna"

    def __init__(self, name="toy", frames=20, loud=0.5):
        self.clip_id = name
        self.pictures = noise_pictures(frames, 64, 64)
        self.sound = loud * np.linspace(0, 1, frames * 640, dtype=np.float32)
        self.looked = self.listened = 0

    def __len__(self):
        return len(self.pictures)

    def stream(self, batch):
        self.looked += 1
        for first in range(0, len(self), batch):
            yield self.pictures[first : first + batch]

    def wave(self):
        self.listened += 1
        return self.sound

    def fingerprint(self):
        return f"toy-{self.clip_id}"


def encoded(clip, encoder=None, speech=None):
    cache = TrackCache(encoder or latent(), speech or Loudness(), 64)
    assert cache.encode([clip], CPU, "encoding") == {}
    return cache.find(clip)


def test_rows_are_what_the_encoder_sees_in_the_frames():
    clip, encoder = Toy(), latent()
    motion, code = encoded(clip, encoder).rows(3, 9)
    seen = encoder.image_encoder(to_float(clip.pictures[3:9]))
    assert torch.allclose(code, seen.code, atol=1e-5)
    assert torch.allclose(motion, encoder.motion_of(seen), atol=1e-5)
    assert (motion.dtype, motion.shape, code.shape) == (torch.float32, (6, 4), (6, 32))


def test_features_are_those_of_the_same_frames():
    clip, speech = Toy(), Loudness()
    features = encoded(clip, speech=speech).features(5, 12)
    whole = speech.features(torch.from_numpy(clip.sound)[None])[0]
    assert (features.dtype, features.shape) == (torch.float16, (2, 14, 1))
    assert torch.allclose(features.float(), whole[:, 10:24], atol=1e-3)


class Walking(Loudness):
    """Gives its features eight frames at a time."""

    def walk(self, wave):
        yield from self.features(wave).split(16, dim=2)


def test_long_speech_is_kept_piece_by_piece():
    clip, speech = Toy(frames=20), Walking()
    expected = Loudness().features(torch.from_numpy(clip.sound)[None])[0]
    found = encoded(clip, speech=speech).features(0, 20)
    assert torch.allclose(found.float(), expected, atol=1e-3)


def test_frames_are_encoded_a_few_at_a_time():
    encoder = latent()
    sizes = []
    encoder.image_encoder.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    encoded(Toy(frames=40), encoder)
    assert sizes == [16, 16, 8]


def test_what_was_encoded_is_not_encoded_again():
    clip = Toy()
    encoded(clip)
    encoded(clip)
    assert (clip.looked, clip.listened) == (1, 1)


def test_changed_weights_never_meet_old_motion():
    clip, changed = Toy(), latent()
    before = encoded(clip)
    with torch.no_grad():
        next(changed.parameters()).view(-1)[0] += 1e-6
    assert TrackCache(changed, Loudness(), 64).find(clip) is None
    after = encoded(clip, changed)
    assert after.seen != before.seen
    assert after.heard == before.heard
    assert (clip.looked, clip.listened) == (2, 1)


def test_another_configuration_or_picture_size_never_meets_old_motion():
    clip = Toy()
    encoded(clip)
    other = latent()
    other._init_args["projector"] = "fc"  # the same tensors, read in another way
    assert TrackCache(other, Loudness(), 64).find(clip) is None
    assert TrackCache(latent(), Loudness(), 32).find(clip) is None
    assert TrackCache(latent(), Loudness(), 64).find(clip) is not None


def test_another_audio_encoder_leaves_the_motion_as_it_is():
    clip = Toy()
    before = encoded(clip)
    after = encoded(clip, speech=Loudness(gain=2.0))
    assert after.heard != before.heard
    assert (clip.looked, clip.listened) == (1, 2)


def test_learned_settings_of_an_audio_encoder_leave_its_features_as_they_are():
    clip = Toy()
    encoded(clip)
    trained = Loudness(dim=16)
    nn.init.ones_(trained.linear.weight)
    encoded(clip, speech=trained)
    assert clip.listened == 1


@pytest.mark.parametrize("damage", [b"", b"no array", "cut", "shape"])
def test_a_damaged_file_is_found_and_made_again(damage):
    clip = Toy()
    found = encoded(clip)
    for path in (found.seen, found.heard):
        good = path.read_bytes()
        if damage == "shape":
            np.save(path, np.zeros((3, 3), np.float32))
        else:
            path.write_bytes(good[:-7] if damage == "cut" else damage)
        assert TrackCache(latent(), Loudness(), 64).find(clip) is None
        encoded(clip)
        assert path.read_bytes() == good
    assert (clip.looked, clip.listened) == (2, 2)


def test_an_interrupted_clip_leaves_nothing_half(cache, monkeypatch):
    clip = Toy(frames=40)
    monkeypatch.setattr(clip, "stream", lambda batch: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        encoded(clip)
    assert list(cache.rglob("*.npy")) == []


def test_encoders_are_left_in_the_mode_they_were_in():
    encoder, speech = latent().train(), Loudness().eval()
    encoded(Toy(), encoder, speech)
    assert encoder.training
    assert not speech.training


def test_a_clip_that_cannot_be_read_is_named_and_the_others_are_encoded(tmp_path):
    gone, good = ClipFile(tmp_path / "gone.mp4", "zoe", "train", 20, True, "gone"), Toy()
    cache = TrackCache(latent(), Loudness(), 64)
    unreadable = cache.encode([gone, good], CPU, "encoding")
    assert list(unreadable) == ["gone"]
    assert "gone.mp4" in unreadable["gone"]
    assert cache.find(gone) is None
    assert cache.find(good) is not None


def test_features_beyond_half_precision_are_refused_by_name():
    clip = Toy("shouting")
    reasons = TrackCache(latent(), Loudness(gain=1e7), 64).encode([clip], CPU, "encoding")
    assert "Loudness" in reasons["shouting"]


def test_a_real_file_gives_frames_sound_and_a_name_for_its_content(tmp_path):
    pictures = noise_pictures(30, 64, 64)
    make_video(tmp_path / "a.mp4", pictures, sound=tone(0.9))
    shutil.copy(tmp_path / "a.mp4", tmp_path / "same.mp4")
    make_video(tmp_path / "other.mp4", pictures, sound=tone(0.9, hertz=880))
    first, other, same = scan_folder(tmp_path)[0]
    assert first.wave().shape == (30 * 640,)
    assert first.wave().dtype == np.float32
    assert np.abs(first.wave()[: 20 * 640]).max() > 0.3
    assert not first.wave()[-640:].any()  # the sound ends before the picture
    assert [len(batch) for batch in first.stream(16)] == [16, 14]
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    make_video(tmp_path / "a.mp4", pictures[:20], sound=tone(0.5))
    assert first.fingerprint() != same.fingerprint()
    with pytest.raises(MediaError, match="has changed since"):
        next(first.stream(16))


def test_what_is_written_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.npy"

    def interrupted():
        with written(path, (4,), np.float32) as array:
            array[:2] = 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_whole(path, (4,), np.float32)
    with written(path, (4,), np.float32) as array:
        array[:] = 1
    assert is_whole(path, (4,), np.float32)
    assert not is_whole(path, (4,), np.float64)
