"""HuBERT in windows: frame t hears the steps 2 t to 2 t + 17, whatever the length and the pieces."""

import pytest
import torch

from speech_toys import CHANNELS, TOY_SIZE, murmur, toy_hubert
from talkingface.audio import FeatureStream, HubertSpeech, HubertWindows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(toy_hubert(tmp_path_factory.mktemp("hubert")))


@pytest.fixture
def windows(folder):
    return HubertWindows(dim=8, hidden=[8], weights=folder, **TOY_SIZE).eval()


@pytest.fixture
def steps(folder):
    """The last hidden state, ``(2 T, C)``."""
    encoder = HubertSpeech(dim=8, blocks=0, weights=folder, **TOY_SIZE)
    return lambda wave: encoder.features(wave)[0, -1]


def test_a_window_begins_where_its_frame_begins(windows, steps):
    wave = murmur(20 * 640)
    found = windows.features(wave)
    assert found.shape == (1, 1, 20, 18 * CHANNELS)
    for frame in (0, 1, 7, 11):
        assert torch.equal(found[0, 0, frame], steps(wave)[2 * frame : 2 * frame + 18].flatten())


def test_the_last_window_is_repeated(windows, steps):
    wave = murmur(20 * 640)
    found = windows.features(wave)[0, 0]
    last = steps(wave)[-18:].flatten()
    assert all(torch.equal(found[frame], last) for frame in range(11, 20))
    assert not torch.equal(found[10], last)


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_sound_shorter_than_a_window_is_held(windows, steps, frames):
    wave = murmur(frames * 640)
    found = windows.features(wave)[0, 0].unflatten(1, (18, CHANNELS))
    assert found.shape == (frames, 18, CHANNELS)
    assert torch.equal(found[0, : 2 * frames], steps(wave))
    assert torch.equal(found[0, -1], steps(wave)[-1])


def test_long_sound_is_heard_in_pieces_and_streamed_alike(windows):
    wave = murmur(16000 * 18)
    whole = windows.features(wave)
    stream = FeatureStream(windows, wave[0])
    assert torch.equal(torch.cat([stream.window(first, 50) for first in range(0, 450, 50)], dim=2), whole)


def test_released_sizes_are_the_published_ones():
    with torch.device("meta"):
        encoder = HubertWindows()
    assert sum(p.numel() for p in encoder.parameters()) == 47_466_496
