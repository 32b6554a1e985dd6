"""Hierarchical Aggregation Layer."""

import pytest
import torch

from talkingface.motion import LIAEncoder
from talkingface.motion.hal import HierarchicalAggregation


@pytest.fixture
def hal() -> HierarchicalAggregation:
    torch.manual_seed(0)
    return HierarchicalAggregation([4, 8, 8], code_dim=8)


@pytest.fixture
def maps() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 4, 4, 4), (2, 8, 2, 2), (2, 8, 1, 1)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_code_is_the_softmax_weighted_sum_of_pooled_stages(hal, maps):
    w = hal.weights.softmax(0)
    expected = w[0] * hal.lifts[0](maps[0].mean((2, 3))) + w[1] * maps[1].mean((2, 3)) + w[2] * maps[2].mean((2, 3))
    torch.testing.assert_close(hal(maps), expected)


def test_only_stages_of_another_width_are_lifted(hal):
    assert [isinstance(lift, torch.nn.Identity) for lift in hal.lifts] == [False, True, True]


def test_one_dominant_weight_selects_one_stage(hal, maps):
    with torch.no_grad():
        hal.weights.copy_(torch.tensor([0.0, 100.0, 0.0]))
    torch.testing.assert_close(hal(maps), maps[1].mean((2, 3)))


def test_published_encoder_lifts_three_of_eight_stages():
    with torch.device("meta"):
        hal = LIAEncoder(hal=True).hal
    assert len(hal.lifts) == len(hal.weights) == 8
    assert sum(not isinstance(lift, torch.nn.Identity) for lift in hal.lifts) == 3


def test_early_stages_reach_the_code_only_through_aggregation():
    """Control: without HAL the code is the last stage, so a change of the stem's pooled output alone is not seen."""
    torch.manual_seed(0)
    encoder = LIAEncoder(size=64, width=0.125, code_dim=16, hal=True)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(image).code
        encoder.hal.lifts[0].bias.add_(1.0)
        after = encoder(image).code
        encoder.hal = None
        last = encoder(image).code
    assert not after.allclose(before)
    assert last.equal(encoder.to_code(encoder.trunk(image)[-1]).flatten(1))
