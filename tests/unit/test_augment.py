"""Augmentation of metric-learning candidates: seeded, in range, and each of its transforms really happens."""

import numpy as np
import pytest
import torch

from talkingface.core.errors import ShapeError
from talkingface.data.augment import augment


def picture(size=64):
    """Bright on the left and with some texture, so that every transform can be seen."""
    ramp = torch.linspace(0.8, -0.8, size).expand(3, size, size).clone()
    ramp[0] *= 0.5
    return ramp + 0.2 * (torch.rand(3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5)


def many(count=60):
    return [augment(picture(), np.random.default_rng(seed)) for seed in range(count)]


def test_the_same_seed_gives_the_same_picture_and_another_does_not():
    first, again, other = (augment(picture(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_torch_draws_nothing():
    state = torch.get_rng_state()
    augment(picture(), np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_picture_that_is_given_stays_as_it_is():
    given, before = picture(), picture()
    augment(given, np.random.default_rng(0))
    assert torch.equal(given, before)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_picture_stays_a_picture_of_its_size_and_range(size):
    moved = augment(picture(size), np.random.default_rng(0))
    assert moved.shape == (3, size, size)
    assert moved.min() >= -1
    assert moved.max() <= 1


def test_about_half_are_flipped():
    left = sum((moved[:, 20:44, 20:28].mean() > moved[:, 20:44, 36:44].mean()).item() for moved in many())
    assert 18 < left < 42


def test_colours_sharpness_and_place_change():
    brightness = torch.tensor([moved[:, 24:40, 24:40].mean() for moved in many()])
    texture = torch.tensor([moved[:, 24:40, 24:40].diff(dim=1).abs().mean() for moved in many()])
    corners = torch.tensor([(moved[:, ::63, ::63] == -1).float().mean() for moved in many()])
    assert brightness.std() > 0.05
    assert texture.max() > 3 * texture.min()  # blurred and not
    assert 0 < corners.mean() < 1  # black where the picture was moved away


def test_a_batch_is_refused():
    with pytest.raises(ShapeError, match="image has shape"):
        augment(torch.zeros(2, 3, 8, 8), np.random.default_rng(0))
