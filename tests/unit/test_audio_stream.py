"""A stream gives the features of the whole sound, and holds only what the last window needed."""

import weakref

import pytest
import torch

from speech_toys import TOY_SIZE, murmur, toy_hubert, toy_whisper
from talkingface.audio import FeatureStream, HubertSpeech, MelSpeech, MFCCSpeech, SpeechEncoder, WhisperSpeech
from talkingface.core.errors import ShapeError

SMALL = {"dim": 16, "blocks": 0}


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    home = tmp_path_factory.mktemp("networks")
    return {
        HubertSpeech: {"weights": str(toy_hubert(home / "hubert")), **TOY_SIZE},
        WhisperSpeech: {"weights": str(toy_whisper(home / "whisper")), **TOY_SIZE},
    }


@pytest.fixture(params=[HubertSpeech, WhisperSpeech, MelSpeech, MFCCSpeech])
def encoder(request, toys) -> SpeechEncoder:
    return request.param(**SMALL, **toys.get(request.param, {}))


def borders(encoder: SpeechEncoder, frames: int) -> list[int]:
    return list(range(encoder.piece_frames, frames - 10, encoder.piece_frames))


def test_windows_across_borders_are_those_of_the_whole_sound(encoder):
    wave = murmur(40 * 16000 + 17)
    whole, steps = encoder.features(wave), encoder.rate // 25
    stream = FeatureStream(encoder, wave[0])
    assert stream.frames == 1001
    starts = [0, *(border - 10 for border in borders(encoder, 1001)), 981]
    assert len(starts) >= 3
    for first in starts:
        assert torch.equal(stream.window(first, 20), whole[:, :, first * steps : (first + 20) * steps])


def test_pieces_on_a_walk_make_up_the_features(encoder):
    wave = murmur(40 * 16000, batch=2)
    pieces = list(encoder.walk(wave))
    assert len(pieces) == 4
    assert max(piece.shape[2] for piece in pieces) == encoder.piece_frames * encoder.rate // 25
    assert torch.equal(torch.cat(pieces, 2), encoder.features(wave))


@pytest.mark.parametrize("kind", [MelSpeech, MFCCSpeech])
def test_features_without_a_network_do_not_notice_the_pieces(kind):
    """What is heard in pieces of 10 s is what would be heard at once."""
    wave = murmur(25 * 16000)
    encoder = kind(**SMALL)
    assert encoder.pieces(625) == 3
    torch.testing.assert_close(encoder.features(wave), encoder.encode(wave), atol=1e-5, rtol=1e-5)


def test_context_is_what_makes_borders_invisible(monkeypatch):
    """Control of the test above."""
    monkeypatch.setattr(MelSpeech, "context", 0.0)
    wave, encoder = murmur(25 * 16000), MelSpeech(**SMALL)
    difference = (encoder.features(wave) - encoder.encode(wave)).abs().amax((0, 1, 3))
    assert difference.max() > 0.1
    assert (difference > 1e-3).nonzero().flatten().tolist() == [1007, 1008, 2015, 2016]


def test_hubert_hears_the_loudness_of_the_whole_sound(toys):
    """A quiet end of a long sound stays quiet, although its piece is heard alone."""
    wave = murmur(30 * 16000)
    wave[:, 20 * 16000 :] *= 0.01
    encoder = HubertSpeech(**SMALL, **toys[HubertSpeech])
    quiet = FeatureStream(encoder, wave[0]).window(600, 100)
    assert not torch.allclose(quiet, FeatureStream(encoder, wave[0, 20 * 16000 :]).window(100, 100), atol=0.1)


def test_each_piece_is_found_once_on_a_walk(encoder, monkeypatch):
    found = []
    piece = type(encoder).piece
    monkeypatch.setattr(
        type(encoder), "piece", lambda self, sound, index: found.append(index) or piece(self, sound, index)
    )
    stream = FeatureStream(encoder, murmur(40 * 16000)[0])
    for first in range(0, 876, 100):  # windows of 5 s that overlap by a second
        stream.window(first, min(125, 1000 - first))
    assert found == list(range(encoder.pieces(1000)))


def test_memory_does_not_grow_with_the_sound(monkeypatch):
    alive: list[weakref.ref[torch.Tensor]] = []
    piece = MelSpeech.piece

    def counted(self, sound, index):
        features = piece(self, sound, index)
        alive.append(weakref.ref(features))
        return features

    monkeypatch.setattr(MelSpeech, "piece", counted)
    stream = FeatureStream(MelSpeech(**SMALL), murmur(600 * 16000)[0])
    most = 0
    for first in range(0, 15000 - 125, 100):
        stream.window(first, 125)
        most = max(most, sum(reference() is not None for reference in alive))
    assert len(alive) == 60  # the control: ten minutes are sixty pieces
    assert most == 2


def test_a_short_sound_is_one_piece(encoder):
    assert torch.equal(
        FeatureStream(encoder, murmur(1600)[0]).window(1, 2),
        encoder.features(murmur(1600))[:, :, -2 * encoder.rate // 25 :],
    )


@pytest.mark.parametrize(("first", "frames"), [(-1, 5), (24, 2), (25, 1), (3, 0)])
def test_frames_outside_the_sound_are_refused(first, frames):
    with pytest.raises(ShapeError, match="the sound has frames 0 to 24"):
        FeatureStream(MelSpeech(**SMALL), torch.zeros(16000)).window(first, frames)


@pytest.mark.parametrize("wave", [torch.zeros(1, 16000), torch.zeros(0), torch.full((900,), float("nan"))])
def test_what_is_no_sound_is_refused(wave):
    with pytest.raises(ShapeError):
        FeatureStream(MelSpeech(**SMALL), wave)
