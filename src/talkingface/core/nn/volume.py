"""Convolution blocks for maps and for feature volumes, whose depth is never reduced (face-vid2vid, figure 11)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class DeepConv3d(nn.Conv3d):
    """Convolution of volumes with a kernel as deep as they are; the size stays.

    In a volume no deeper than the kernel many taps meet nothing but padding. There it is computed as one 2-D
    convolution with depth as channels, which leaves those out and trains three times as fast on a CPU
    (benchmarks/facevid2vid.py, "mask, trained").

    Args:
        in_channels, out_channels: of the volume.
        kernel: its odd width.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, volume: Tensor) -> Tensor:
        """``(B, in_channels, D, H, W)`` → ``(B, out_channels, D, H, W)``."""
        depth, kernel = volume.shape[2], self.kernel_size[0]
        if depth > kernel:
            return super().forward(volume)
        place = torch.arange(depth, device=volume.device)
        taps = place - place[:, None] + kernel // 2  # from which depth (column) to which (row)
        inside = (taps >= 0) & (taps < kernel)
        weight = self.weight[:, :, taps.clamp(0, kernel - 1)] * inside[:, :, None, None]
        weight = weight.transpose(1, 2).flatten(2, 3).flatten(0, 1)  # (out D, in D, k, k)
        bias = None if self.bias is None else self.bias.repeat_interleave(depth)
        maps = functional.conv2d(volume.flatten(1, 2), weight, bias, padding=kernel // 2)
        convolved: Tensor = maps.unflatten(1, (self.out_channels, depth))
        return convolved


class ConvBlock(nn.Module):
    """Convolution, batch norm, leaky ReLU; the size stays.

    Args:
        dims: 2 for maps ``(B, C, H, W)``, 3 for volumes ``(B, C, D, H, W)``.
        in_channels, out_channels: of the convolution.
        kernel: its odd width.
        slope: of the activation below zero; 0 is a ReLU.
    """

    def __init__(self, dims: int, in_channels: int, out_channels: int, kernel: int = 3, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = CONVOLUTIONS[dims](in_channels, out_channels, kernel, padding=kernel // 2)
        self.norm: nn.Module = NORMS[dims](out_channels)
        self.slope = slope

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, …)`` → ``(B, out_channels, …)``."""
        return functional.leaky_relu(self.norm(self.conv(features)), self.slope)


class DownBlock(ConvBlock):
    """Convolution, batch norm, ReLU, half the height and width."""

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, …, H, W)`` → ``(B, out_channels, …, H/2, W/2)``."""
        return halve(super().forward(features))


class UpBlock(ConvBlock):
    """Twice the height and width, convolution, batch norm, ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, …, H, W)`` → ``(B, out_channels, …, 2H, 2W)``."""
        return super().forward(enlarge(features, 2))


class PreActivationBlock(nn.Module):
    """Residual block that normalises before it convolves: twice batch norm, ReLU, convolution; plus its input.

    Args:
        dims: 2 for maps, 3 for volumes.
        channels: of input and output.
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.norm1: nn.Module = NORMS[dims](channels)
        self.norm2: nn.Module = NORMS[dims](channels)
        self.conv1, self.conv2 = (CONVOLUTIONS[dims](channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, channels, …)`` → the same shape."""
        hidden = self.conv1(functional.relu(self.norm1(features)))
        residual: Tensor = self.conv2(functional.relu(self.norm2(hidden)))
        return features + residual


def halve(features: Tensor) -> Tensor:
    """Mean over 2 by 2 pixels.

    Args:
        features: maps ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, whose depth stays.

    Returns:
        The same with ``H/2`` and ``W/2``.
    """
    maps = features.flatten(1, -3)  # depth as channels: 3-D pooling has no bfloat16 form on a CPU
    halved: Tensor = functional.avg_pool2d(maps, 2).unflatten(1, features.shape[1:-2])
    return halved


def enlarge(features: Tensor, factor: int) -> Tensor:
    """Repeat every pixel ``factor`` times in height and width (nearest neighbour).

    Args:
        features: maps ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, whose depth stays.
        factor: 1 or more.

    >>> enlarge(torch.tensor([[[[1.0, 2.0]]]]), 2).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """
    if factor == 1:
        return features
    maps = functional.interpolate(features.flatten(1, -3), scale_factor=float(factor), mode="nearest")
    enlarged: Tensor = maps.unflatten(1, features.shape[1:-2])
    return enlarged


def volume_grid(shape: Sequence[int], like: Tensor) -> Tensor:
    """The grid of no motion in a volume, corner-aligned as :func:`~talkingface.core.geometry.base_grid`.

    Args:
        shape: depth, height and width of the volume.
        like: a tensor whose device and type to take.

    Returns:
        ``(D, H, W, 3)``: x, y, z in ``[-1, 1]``, as :func:`~talkingface.core.geometry.sample` reads it.

    >>> volume_grid((2, 2, 3), torch.zeros(1))[1, 0, 2].tolist()
    [1.0, -1.0, 1.0]
    """
    z, y, x = (torch.linspace(-1, 1, count, device=like.device, dtype=like.dtype) for count in shape)
    grid_z, grid_y, grid_x = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack((grid_x, grid_y, grid_z), -1)


def scaled(channels: int, width: float) -> int:
    """A published number of channels times a width, at least one.

    >>> scaled(64, 0.125)
    8
    """
    return max(1, round(channels * width))
