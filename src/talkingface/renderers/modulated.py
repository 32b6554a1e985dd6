"""Convolutions whose weights a latent code modulates (StyleGAN2, section 2.2), as LIA uses them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.nn import Blur, EqualLinear
from talkingface.core.nn.equalized import ACTIVATION_GAIN, SLOPE

DEMODULATION_EPSILON = 1e-8


class Style(NamedTuple):
    """What the latent does to a convolution: factors on its input and output channels."""

    inputs: Tensor  # (B, in_channels)
    outputs: Tensor  # (B, out_channels)


class StyledConv2d(nn.Module):
    """Modulated and demodulated 3x3 convolution, bias and leaky ReLU.

    Published implementations build a weight per sample, ``W s d`` with style s and
    ``d = rsqrt(sum_in,k (W s)^2 + 1e-8)``, and run a grouped convolution. Convolution is linear, so scaling the input
    channels by s and the output channels by d is the same, with one weight for the whole batch.
    Without gradients the input is overwritten.

    Args:
        in_channels, out_channels: of the maps.
        code_dim: width of the latent.
    """

    def __init__(self, in_channels: int, out_channels: int, code_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(self._draw_weight(out_channels, in_channels))
        self.modulation = EqualLinear(code_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = 1 / math.sqrt(in_channels * 9)

    @staticmethod
    def _draw_weight(out_channels: int, in_channels: int) -> Tensor:
        return torch.randn(out_channels, in_channels, 3, 3).contiguous(memory_format=torch.channels_last)

    def style(self, latent: Tensor) -> Style:
        """Latent ``(B, code_dim)`` → factors; the gain of the activation is folded into those of the output."""
        inputs: Tensor = self.modulation(latent) * self.scale
        outputs = torch.rsqrt(self._energy(inputs.square()) + DEMODULATION_EPSILON) * ACTIVATION_GAIN
        return Style(inputs, outputs)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H, W)``, or twice as large where the layer doubles."""
        inputs, outputs = (factors[:, :, None, None].to(features.dtype) for factors in style)
        bias = self.bias[:, None, None] * ACTIVATION_GAIN
        if torch.is_grad_enabled():
            mixed = self._convolve(features * inputs)
            mixed = torch.addcmul(bias.to(mixed.dtype), mixed, outputs.to(mixed.dtype))
        else:  # in place: paging in memory for large maps costs more than the arithmetic on them
            mixed = self._convolve(features.mul_(inputs)).mul_(outputs).add_(bias)
        return functional.leaky_relu(mixed, SLOPE, inplace=True)

    def _energy(self, squared: Tensor) -> Tensor:
        """``sum_in,k W^2 s^2``: squared factors ``(B, in_channels)`` → ``(B, out_channels)``."""
        return squared @ self.weight.square().sum((2, 3)).T

    def _convolve(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, self.weight, padding=1)


class StyledUpConv2d(StyledConv2d):
    """The same with doubled resolution: a transposed convolution of stride 2, then the low-pass filter."""

    def __init__(self, in_channels: int, out_channels: int, code_dim: int) -> None:
        super().__init__(in_channels, out_channels, code_dim)
        self.blur = Blur(out_channels, padding=1, gain=4.0)

    @staticmethod
    def _draw_weight(out_channels: int, in_channels: int) -> Tensor:
        # Shaped as its sibling's, but in memory as a transposed convolution reads it fastest.
        weight = torch.randn(in_channels, out_channels, 3, 3).contiguous(memory_format=torch.channels_last)
        return weight.transpose(0, 1)

    def _energy(self, squared: Tensor) -> Tensor:
        return squared @ self.weight.transpose(0, 1).square().sum((2, 3))  # a sum against the layout is 10 times slower

    def _convolve(self, features: Tensor) -> Tensor:
        filtered: Tensor = self.blur(functional.conv_transpose2d(features, self.weight.transpose(0, 1), stride=2))
        return filtered


class ModulatedProjection(nn.Module):
    """Modulated 1x1 convolution without demodulation, plus bias: a per-sample matrix on the channels.

    Args:
        in_channels, out_channels: of the maps.
        code_dim: width of the latent.
        std: of the weights at the start; 1 is the published one.
    """

    def __init__(self, in_channels: int, out_channels: int, code_dim: int, *, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(out_channels, in_channels))
        self.modulation = EqualLinear(code_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = in_channels**-0.5

    def style(self, latent: Tensor) -> Tensor:
        """Latent ``(B, code_dim)`` → weights ``(B, out_channels, in_channels)``."""
        inputs: Tensor = self.modulation(latent) * self.scale
        return self.weight * inputs.unsqueeze(1)

    def forward(self, features: Tensor, weight: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H, W)``."""
        bias = self.bias[:, None].to(features.dtype)
        mixed = torch.baddbmm(bias, weight.to(features.dtype), features.flatten(2))
        return mixed.view(-1, self.bias.numel(), *features.shape[2:])
