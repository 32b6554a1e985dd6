"""Conformer: relative attention against plain loops, positions, dropout, lengths."""

import copy
import math

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.nn import Conformer
from talkingface.core.nn.conformer import RelativeAttention, relative_positions, relative_shift

DIM = 8


@pytest.fixture
def conformer() -> Conformer:
    torch.manual_seed(0)
    return Conformer(DIM, blocks=2, dropout=0.5, kernel=3).eval()


@pytest.fixture
def attention() -> RelativeAttention:
    torch.manual_seed(0)
    return RelativeAttention(DIM, 2, 0.0).eval()


def sinusoid(distance: int) -> Tensor:
    """One row of the table, number by number."""
    pairs = [(math.sin(a), math.cos(a)) for a in (distance * 10000 ** (-2 * i / DIM) for i in range(DIM // 2))]
    return torch.tensor(pairs).flatten()


def attend_by_loops(layer: RelativeAttention, features: Tensor, direction: int = 1) -> Tensor:
    """The formula of the docstring, for one pair of frames at a time."""
    frames, width = len(features), DIM // layer.heads
    query, key, value = layer.query(features), layer.key(features), layer.value(features)
    heads = []
    for head in range(layer.heads):
        part = slice(head * width, (head + 1) * width)
        score = torch.empty(frames, frames)
        for t in range(frames):
            for s in range(frames):
                position = layer.position(sinusoid(direction * (t - s)))[part]
                content = (query[t, part] + layer.content_bias[head]) @ key[s, part]
                score[t, s] = content + (query[t, part] + layer.position_bias[head]) @ position
        heads.append((score / math.sqrt(width)).softmax(dim=1) @ value[:, part])
    return layer.out(torch.cat(heads, dim=1))


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_attention_is_its_formula_frame_by_frame(attention, frames):
    features = torch.randn(frames, DIM)
    ours = attention(features[None], attention.project_positions(relative_positions(frames, DIM)))[0]
    torch.testing.assert_close(ours, attend_by_loops(attention, features), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_control_distances_have_a_direction(attention):
    features = torch.randn(7, DIM)
    ours = attention(features[None], attention.project_positions(relative_positions(7, DIM)))[0]
    assert not torch.allclose(ours, attend_by_loops(attention, features, direction=-1), atol=1e-3)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_relative_shift_picks_the_distance_of_each_pair(frames):
    scores = torch.randn(2, 3, frames, 2 * frames - 1)
    shifted = relative_shift(scores)
    for t in range(frames):
        for s in range(frames):
            assert torch.equal(shifted[..., t, s], scores[..., t, frames - 1 - (t - s)])


def test_table_runs_from_the_farthest_before_to_the_farthest_behind():
    table = relative_positions(4, DIM)
    expected = torch.stack([sinusoid(distance) for distance in (3, 2, 1, 0, -1, -2, -3)])
    torch.testing.assert_close(table, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_positions_made_once_give_the_same_result(conformer):
    positions = conformer.positions(6)
    for _ in range(2):
        features = torch.randn(3, 6, DIM)
        assert torch.equal(conformer(features, positions), conformer(features))


@torch.no_grad()
def test_order_of_the_frames_matters_by_position_alone(conformer):
    for block in conformer.blocks:  # without convolution only the positions know the order
        block.convolution.pointwise_out.weight.zero_()
        block.convolution.pointwise_out.bias.zero_()
    features = torch.randn(1, 6, DIM)
    assert not torch.allclose(conformer(features.flip(1)).flip(1), conformer(features), atol=1e-3)
    blind = tuple(torch.zeros_like(position) for position in conformer.positions(6))
    torch.testing.assert_close(conformer(features.flip(1), blind).flip(1), conformer(features, blind))


@torch.no_grad()
def test_a_sequence_does_not_depend_on_others_of_its_batch(conformer):
    features = torch.randn(3, 6, DIM)
    torch.testing.assert_close(conformer(features)[1:2], conformer(features[1:2]))


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 13, 600])
def test_any_length_keeps_its_shape(conformer, frames):
    output = conformer(torch.randn(2, frames, DIM))
    assert output.shape == (2, frames, DIM)
    assert output.isfinite().all()


def test_position_tables_are_not_saved(conformer):
    conformer(torch.randn(1, 5, DIM))
    assert conformer.state_dict().keys() == Conformer(DIM, blocks=2, kernel=3).state_dict().keys()
    assert not any(5 in tensor.shape or 9 in tensor.shape for tensor in conformer.state_dict().values())


def test_dropout_acts_in_training_alone(conformer):
    features = torch.randn(1, 5, DIM)
    assert torch.equal(conformer(features), conformer(features))
    conformer.train()
    assert not torch.equal(conformer(features), conformer(features))
    assert not torch.equal(conformer.positions(5)[0], conformer.positions(5)[0])


def test_gradients_reach_every_parameter_but_the_bias_of_keys(conformer):
    """A constant added to all keys moves all scores of a query alike, which softmax does not see."""
    (conformer(torch.randn(2, 6, DIM)) * torch.randn(2, 6, DIM)).sum().backward()
    without = [name for name, p in conformer.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-6]
    assert all(name.endswith("key.bias") for name in without)


def test_half_precision_is_near_full_precision(conformer):
    features = torch.randn(2, 6, DIM)
    with torch.autocast("cpu", torch.bfloat16):
        rough = conformer(features)
    assert (rough - conformer(features)).abs().mean() < 0.05


def test_copy_shares_nothing(conformer):
    features = torch.randn(1, 4, DIM)
    with torch.no_grad():
        before = conformer(features)
        for parameter in copy.deepcopy(conformer).parameters():
            parameter.add_(0.1)
        assert torch.equal(conformer(features), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 7}, "even and a multiple of its 2 heads"),
        ({"dim": 8, "heads": 3}, "multiple of its 3 heads"),
        ({"dim": 8, "kernel": 4}, "must be odd"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Conformer(**settings, blocks=1)


def test_features_of_another_width_are_refused(conformer):
    with pytest.raises(ShapeError, match="features of a Conformer"):
        conformer(torch.zeros(1, 4, DIM + 1))
