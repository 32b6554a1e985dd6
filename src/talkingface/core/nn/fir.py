"""The [1, 3, 3, 1] low-pass filter around every change of resolution (StyleGAN2, after Zhang 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


class Blur(nn.Module):
    """Depth-wise low-pass filter with zero padding.

    Args:
        channels: of the maps.
        padding: on every side, in pixels.
        stride: filtering and dropping pixels in one step.
        gain: factor on the result; 4 makes up for the zeros that a transposed convolution puts between the pixels.
    """

    kernel: Tensor

    def __init__(self, channels: int, padding: int, *, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", gain * torch.outer(TAPS, TAPS).repeat(channels, 1, 1, 1), persistent=False)
        self.padding = padding
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, C, H', W')`` with ``H' = (H + 2 * padding - 4) // stride + 1``."""
        return functional.conv2d(
            features, self.kernel, stride=self.stride, padding=self.padding, groups=self.kernel.shape[0]
        )


def upsample(features: Tensor) -> Tensor:
    """Double the resolution: zeros between the pixels, then four times the filter.

    The two phases of [1, 3, 3, 1] / 4 are the weights of bilinear interpolation, whose kernel is fast on every device;
    only beyond the border, where the filter sees zeros, a frame of zeros has to stand in.

    Args:
        features: ``(B, C, H, W)``.

    Returns:
        ``(B, C, 2 H, 2 W)``.

    >>> upsample(torch.ones(1, 1, 2, 2))[0, 0, 1]
    tensor([0.7500, 1.0000, 1.0000, 0.7500])
    """
    padded = functional.pad(features, (1, 1, 1, 1))
    doubled = functional.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)
    return doubled[..., 2:-2, 2:-2]
