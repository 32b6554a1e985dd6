"""Convolutions whose weights a latent code modulates (StyleGAN2, section 2.2), as LIA uses them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.nn import EqualLinear
from talkingface.core.nn.equalized import ACTIVATION_GAIN, SLOPE
from talkingface.core.nn.fir import TAPS

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

    Args:
        in_channels, out_channels: of the maps.
        code_dim: width of the latent.
    """

    def __init__(self, in_channels: int, out_channels: int, code_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.modulation = EqualLinear(code_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = 1 / math.sqrt(in_channels * 9)

    def style(self, latent: Tensor) -> Style:
        """Latent ``(B, code_dim)`` → factors; the gain of the activation is folded into those of the output."""
        inputs: Tensor = self.modulation(latent) * self.scale
        energy = functional.linear(inputs.square(), self.weight.square().sum((2, 3)))
        return Style(inputs, torch.rsqrt(energy + DEMODULATION_EPSILON) * ACTIVATION_GAIN)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H, W)``."""
        mixed = functional.conv2d(features * style.inputs[:, :, None, None], self.weight, padding=1)
        bias = self.bias[:, None, None] * ACTIVATION_GAIN
        return functional.leaky_relu(torch.addcmul(bias, mixed, style.outputs[:, :, None, None]), SLOPE, inplace=True)


class StyledUpConv2d(StyledConv2d):
    """The same with doubled resolution: a transposed convolution of stride 2, then the low-pass filter."""

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int, code_dim: int) -> None:
        super().__init__(in_channels, out_channels, code_dim)
        self.register_buffer("kernel", 4 * torch.outer(TAPS, TAPS).view(1, 1, 4, 4), persistent=False)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, 2 H, 2 W)``."""
        scaled = features * style.inputs[:, :, None, None]
        mixed = functional.conv_transpose2d(scaled, self.weight.transpose(0, 1), stride=2)
        # A depth-wise filter may have another factor and bias in every map, so demodulation and bias cost nothing.
        batch, channels, height, width = mixed.shape
        kernel = self.kernel * style.outputs.reshape(-1, 1, 1, 1)
        bias = (self.bias * ACTIVATION_GAIN).repeat(batch)
        filtered = functional.conv2d(
            mixed.reshape(1, batch * channels, height, width), kernel, bias, padding=1, groups=batch * channels
        )
        return functional.leaky_relu(filtered.view(batch, channels, height - 1, width - 1), SLOPE, inplace=True)


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
