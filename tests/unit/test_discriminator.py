"""LIA's discriminator."""

import pytest
import torch

from talkingface.renderers import LIADiscriminator
from talkingface.renderers.discriminator import batch_deviation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_published_number_of_parameters():
    with torch.device("meta"):
        network = LIADiscriminator()
    assert sum(p.numel() for p in network.parameters()) == 24_001_089


def test_equal_pictures_have_no_deviation_and_different_ones_do():
    features = torch.randn(1, 3, 4, 4)
    assert batch_deviation(features.repeat(4, 1, 1, 1)).max() < 1e-3
    assert batch_deviation(torch.randn(4, 3, 4, 4)).min() > 0.5


def test_deviation_is_that_of_every_second_picture_in_a_batch_of_eight():
    features = torch.randn(8, 3, 4, 4)
    expected = (features[::2].var(0, unbiased=False) + 1e-8).sqrt().mean()
    torch.testing.assert_close(batch_deviation(features)[::2], expected.expand(4, 1, 4, 4))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 6, 8])
def test_any_batch_size_is_judged(batch):
    network = LIADiscriminator(size=64, width=0.125)
    assert network(torch.randn(batch, 3, 64, 64)).shape == (batch, 1)


def test_a_collapsed_batch_is_judged_otherwise_than_its_single_picture():
    network, picture = LIADiscriminator(size=64, width=0.125), torch.randn(1, 3, 64, 64)
    others = torch.randn(3, 3, 64, 64)
    alone = network(picture)
    torch.testing.assert_close(network(picture.repeat(4, 1, 1, 1))[:1], alone, atol=1e-4, rtol=1e-4)
    assert not network(torch.cat([picture, others]))[:1].allclose(alone, atol=1e-4)
