"""Layers with an equalised learning rate: weights are stored ~ N(0, 1) and scaled by ``1/sqrt(fan_in)`` when used.

Adam then moves every layer at the same relative speed (Karras et al. 2018, "Progressive growing of GANs", 4.1).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # of the leaky ReLU
ACTIVATION_GAIN = math.sqrt(2)  # keeps the variance behind the leaky ReLU, StyleGAN2 convention


class EqualLinear(nn.Module):
    """Linear layer with an equalised learning rate.

    Args:
        in_features, out_features: widths.
        bias_init: value the bias starts with; style modulation starts at 1.
    """

    def __init__(self, in_features: int, out_features: int, *, bias_init: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.scale = in_features**-0.5

    def forward(self, features: Tensor) -> Tensor:
        """``(..., in_features)`` → ``(..., out_features)``."""
        return functional.linear(features * self.scale, self.weight, self.bias)  # the input is the smaller factor


class EqualConv2d(nn.Module):
    """Square convolution with an equalised learning rate, without bias.

    Args:
        in_channels, out_channels, kernel_size, stride, padding: as in :class:`torch.nn.Conv2d`.
        gain: factor on the result, folded into the scale of the weight.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        weight = torch.randn(out_channels, in_channels, kernel_size, kernel_size)
        # Convolution takes over the layout of its weight, and channels-last is about twice as fast on CPUs.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.gain = gain
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H', W')``."""
        return self._convolve(features, None)

    def _convolve(self, features: Tensor, bias: Tensor | None) -> Tensor:
        weight: Tensor = self.weight
        # The scale may go on either factor; deep layers have weights far larger than their maps.
        if features.numel() < weight.numel():
            features = features * self.scale
        else:
            weight = weight * self.scale
        return functional.conv2d(features, weight, bias, self.stride, self.padding)


class ActivatedConv2d(EqualConv2d):
    """Equalised convolution, bias and leaky ReLU: ``gain * leaky_relu(conv(x) + b, 0.2)``.

    The leaky ReLU is positively homogeneous, so the gain is folded into weight and bias and costs nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        gain: float = ACTIVATION_GAIN,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding, gain=gain)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H', W')``."""
        return functional.leaky_relu(self._convolve(features, self.bias * self.gain), SLOPE, inplace=True)
