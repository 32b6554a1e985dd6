"""Layers with equalised learning rate, the low-pass filter, and the trunk made of them."""

import math

import pytest
import torch
from torch.nn import functional

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.nn import ActivatedConv2d, Blur, EqualConv2d, EqualLinear, LIATrunk, lia_channels, upsample


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_linear_divides_its_weight_by_the_root_of_the_fan_in():
    layer, x = EqualLinear(64, 8, bias_init=1.0), torch.randn(5, 64)
    torch.testing.assert_close(layer(x), x @ (layer.weight / 8).T + 1)


@pytest.mark.parametrize("size", [2, 32])  # weight larger and smaller than the map: the scale goes on either
def test_convolution_divides_its_weight_by_the_root_of_the_fan_in(size):
    layer, x = EqualConv2d(16, 8, 3, padding=1), torch.randn(1, 16, size, size)
    expected = functional.conv2d(x, layer.weight / math.sqrt(16 * 9), padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_outputs_start_with_the_variance_of_their_inputs():
    deep, x = EqualConv2d(256, 64, 3), torch.randn(4, 256, 16, 16)
    assert deep(x).std().item() == pytest.approx(1, abs=0.05)


def test_activation_is_a_leaky_relu_times_root_two():
    layer, x = ActivatedConv2d(4, 4, 1), torch.randn(2, 4, 8, 8)
    torch.nn.init.normal_(layer.bias)
    convolved = functional.conv2d(x, layer.weight / 2) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), math.sqrt(2) * functional.leaky_relu(convolved, 0.2))


def test_blur_keeps_the_brightness_inside():
    assert Blur(2, padding=2)(torch.ones(1, 2, 8, 8))[..., 2:-2, 2:-2].allclose(torch.ones(1))


def test_blur_with_stride_drops_every_other_pixel():
    x = torch.randn(1, 3, 8, 8)
    assert Blur(3, padding=1, stride=2)(x).equal(Blur(3, padding=1)(x)[..., ::2, ::2])


def test_upsampling_is_the_filter_on_a_picture_with_zeros_between_its_pixels():
    x = torch.randn(2, 3, 5, 5)
    spread = torch.zeros(2, 3, 10, 10)
    spread[..., ::2, ::2] = x
    expected = Blur(3, padding=0, gain=4.0)(functional.pad(spread, (2, 1, 2, 1)))
    torch.testing.assert_close(upsample(x), expected)


def test_control_plain_bilinear_upsampling_differs_at_the_border():
    x = torch.randn(1, 1, 5, 5)
    plain = functional.interpolate(x, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(upsample(x)[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    assert not upsample(x).allclose(plain)


def test_published_channels_at_full_width():
    assert lia_channels(512, 1.0) == {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32}


def test_narrow_channels_are_multiples_of_eight_and_never_fewer():
    assert set(lia_channels(512, 0.01).values()) == {8}
    assert all(count % 8 == 0 for count in lia_channels(256, 0.3).values())


@pytest.mark.parametrize(("size", "width"), [(100, 1.0), (1024, 1.0), (64, 0.0), (64, -1.0)])
def test_impossible_size_or_width_is_refused(size, width):
    with pytest.raises(ConfigError, match="64, 128, 256, 512 px" if width > 0 else "positive"):
        lia_channels(size, width)


def test_trunk_returns_every_stage_fine_first():
    shapes = [tuple(stage.shape[1:]) for stage in LIATrunk(64, 0.125)(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(32, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8), (64, 4, 4)]


def test_residual_block_is_the_published_sum_over_root_two():
    block, x = LIATrunk(64, 0.125).blocks[0], torch.randn(2, 32, 16, 16)
    torch.nn.init.normal_(block.conv2.bias)

    def convolve(features, layer, **how):
        return functional.conv2d(features, layer.weight / math.sqrt(layer.weight[0].numel()), **how)

    def activate(features, bias):
        return math.sqrt(2) * functional.leaky_relu(features + bias[:, None, None], 0.2)

    deep = activate(convolve(x, block.conv1, padding=1), block.conv1.bias)
    deep = activate(convolve(block.blur(deep), block.conv2, stride=2), block.conv2.bias)
    skip = convolve(Blur(32, padding=1)(x), block.skip, stride=2)
    torch.testing.assert_close(block(x), (deep + skip) / math.sqrt(2), atol=1e-5, rtol=1e-5)


def test_picture_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="64"):
        LIATrunk(64, 0.125)(torch.zeros(1, 3, 32, 32))
