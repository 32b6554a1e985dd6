"""What every audio encoder of the registry promises; the networks of others are tiny ones with random weights."""

import copy
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speech_toys import TOY_SIZE, murmur, toy_hubert, toy_whisper
from talkingface import registry
from talkingface.core.component import build
from talkingface.core.errors import ShapeError
from talkingface.core.interfaces import AudioEncoder

FRAMES = 12
SMALL = {"dim": 16, "blocks": 1}
OTHER: dict[str, dict[str, Any]] = {"hubert-windows": {"dim": 16, "hidden": [32, 16, 8]}}  # where SMALL does not fit
TOYS: dict[str, Callable[[Path], Path]] = {
    "hubert": toy_hubert,
    "hubert-windows": toy_hubert,
    "whisper": toy_whisper,
}
NAMES = [name for name in registry.names("audio") if registry.describe("audio", name).origin == "talkingface"]


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Settings that point an encoder at its toy network."""
    home = tmp_path_factory.mktemp("networks")
    return {name: {"weights": str(toy(home / name)), **TOY_SIZE} for name, toy in TOYS.items()}


@pytest.fixture(params=NAMES)
def settings(request, networks) -> tuple[str, dict[str, Any]]:
    return request.param, small(request.param) | networks.get(request.param, {})


@pytest.fixture
def encoder(settings) -> AudioEncoder:
    return make(settings)


def small(name: str) -> dict[str, Any]:
    return OTHER.get(name, SMALL)


def make(settings: tuple[str, dict[str, Any]], seed: int = 0) -> AudioEncoder:
    torch.manual_seed(seed)
    name, arguments = settings
    encoder: AudioEncoder = registry.load("audio", name)(**arguments)
    return encoder.eval()


def fake_features(encoder: AudioEncoder, frames: int = FRAMES, batch: int = 2) -> Tensor:
    shape = (batch, encoder.layers, frames * encoder.rate // 25, encoder.channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 1600, 16000])
def test_features_cover_whole_video_frames(encoder, samples):
    features = encoder.features(murmur(samples, batch=2))
    steps = -(-samples // 640) * encoder.rate // 25
    assert features.shape == (2, encoder.layers, steps, encoder.channels)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


def test_features_are_constants(encoder):
    assert not encoder.features(murmur(3200).requires_grad_()).requires_grad


def test_features_do_not_depend_on_the_mode(encoder):
    evaluated = encoder.features(murmur(16000))
    assert torch.equal(encoder.train().features(murmur(16000)), evaluated)


def test_features_say_what_was_said(encoder):
    heard = encoder.features(murmur(16000))
    assert torch.equal(encoder.features(murmur(16000)), heard)
    assert not torch.equal(encoder.features(murmur(16000, seed=1)), heard)


def test_sounds_of_a_batch_do_not_mix(encoder):
    both = torch.cat([murmur(8000), 0.3 * murmur(8000, seed=1)])
    alone = torch.cat([encoder.features(wave[None]) for wave in both])
    torch.testing.assert_close(encoder.features(both), alone, atol=1e-4, rtol=1e-4)


def test_features_are_those_of_full_precision_within_mixed_precision(encoder):
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encoder.features(murmur(8000))
    assert torch.equal(mixed, encoder.features(murmur(8000)))


@pytest.mark.parametrize("loudness", [0.0, 1e-6, 100.0])
def test_silence_and_shouting_give_finite_features(encoder, loudness):
    assert encoder.features((loudness * murmur(16000)).clamp(-1, 1)).isfinite().all()


def test_sound_is_left_alone(encoder):
    wave = murmur(5000)
    encoder.features(wave)
    assert torch.equal(wave, murmur(5000))


@pytest.mark.parametrize(
    ("wave", "complaint"),
    [
        (torch.zeros(16000), r"expected \(B, S\)"),
        (torch.zeros(1, 2, 16000), r"expected \(B, S\)"),
        (torch.zeros(1, 0), "zero samples"),
        (torch.full((1, 900), float("nan")), "NaN"),
        (torch.full((1, 900), float("inf")), "infinite"),
        (torch.zeros(1, 900, dtype=torch.int16), "int16"),
    ],
)
def test_what_is_no_sound_is_refused(encoder, wave, complaint):
    with pytest.raises(ShapeError, match=complaint):
        encoder.features(wave)


def test_the_condition_has_one_row_a_frame(encoder):
    condition = encoder(fake_features(encoder), FRAMES)
    assert condition.shape == (2, FRAMES, encoder.dim)
    assert condition.dtype == torch.float32


def test_real_features_fit(encoder):
    assert encoder(encoder.features(murmur(641)), 2).shape == (1, 2, encoder.dim)


@pytest.mark.parametrize("frames", [FRAMES - 1, FRAMES + 1])
def test_features_of_another_length_are_refused(encoder, frames):
    with pytest.raises(ShapeError, match="features has shape"):
        encoder(fake_features(encoder), frames)


def test_features_of_another_encoder_are_refused(encoder):
    with pytest.raises(ShapeError, match="features has shape"):
        encoder(fake_features(encoder)[..., 1:], FRAMES)


def test_gradients_reach_every_parameter(encoder):
    encoder.train()(fake_features(encoder), FRAMES).square().sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_features_of_half_precision_give_nearly_the_same_condition(encoder):
    features = fake_features(encoder)
    with torch.no_grad():
        full, half = encoder(features, FRAMES), encoder(features.half(), FRAMES)
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.03 * full.std()


def test_half_precision_training_is_finite(encoder):
    with torch.autocast("cpu", torch.bfloat16):
        loss = encoder.train()(fake_features(encoder), FRAMES).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


def test_configuration_survives_json(settings, encoder):
    again = build(json.loads(json.dumps(encoder.config)))
    assert again.config == encoder.config
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in encoder.state_dict().items()}


def test_every_setting_is_recorded(encoder):
    keywords = inspect.signature(type(encoder)).parameters.values()
    assert list(encoder.config["init_args"]) == [p.name for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY]


def test_a_saved_encoder_computes_the_same(settings, encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = type(encoder).from_pretrained(tmp_path)
    with torch.no_grad():
        wanted = encoder(fake_features(encoder), FRAMES)
        assert torch.equal(again(fake_features(encoder), FRAMES), wanted)
        assert not torch.equal(make(settings, seed=1)(fake_features(encoder), FRAMES), wanted)  # the control
    assert torch.equal(again.features(murmur(8000)), encoder.features(murmur(8000)))


def test_listening_adds_nothing_to_what_is_saved_or_trained(encoder):
    names, parameters = set(encoder.state_dict()), len(list(encoder.parameters()))
    encoder.features(murmur(3200))
    assert set(encoder.state_dict()) == names
    assert len(list(encoder.parameters())) == parameters


def test_a_deep_copy_is_independent(encoder):
    with torch.no_grad():
        features, condition = encoder.features(murmur(3200)), encoder(fake_features(encoder), FRAMES)
        other = copy.deepcopy(encoder)
        for parameter in other.parameters():
            parameter.add_(0.1)
        assert torch.equal(encoder(fake_features(encoder), FRAMES), condition)
        assert not torch.equal(other(fake_features(encoder), FRAMES), condition)
    assert torch.equal(other.features(murmur(3200)), features)


def test_the_fingerprint_does_not_depend_on_what_is_learned(settings, encoder):
    name, arguments = settings
    wider = make((name, arguments | {"dim": 32, "dropout": 0.5}), seed=1)
    assert wider.fingerprint() == encoder.fingerprint()


def test_fingerprints_differ_between_encoders(networks):
    found = [make((name, small(name) | networks.get(name, {}))).fingerprint() for name in NAMES]
    assert len(set(found)) == len(NAMES) > 1
