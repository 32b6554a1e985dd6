"""The residual trunk of LIA: image encoder and discriminator are built on it (Wang et al. 2022, appendix A)."""

import itertools

import torch
from torch import Tensor, nn

from talkingface.core.checks import check_image
from talkingface.core.errors import ConfigError
from talkingface.core.nn.equalized import ActivatedConv2d, EqualConv2d
from talkingface.core.nn.fir import Blur

SIZES = (64, 128, 256, 512)
FULL_CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32}


def lia_channels(size: int, width: float) -> dict[int, int]:
    """Channels at every resolution from 4 px up to the picture's.

    Args:
        size: side of the picture in pixels.
        width: factor on the published table; results are rounded to multiples of 8, at least 8.

    Returns:
        Resolution in pixels → channels, coarse first.

    Raises:
        ConfigError: for a size without a table, or a width that is not positive.

    >>> lia_channels(64, 0.25)
    {4: 128, 8: 128, 16: 128, 32: 128, 64: 64}
    """
    if size not in SIZES:
        raise ConfigError(f"LIA networks exist for {', '.join(map(str, SIZES))} px, not for size {size}.")
    if width <= 0:
        raise ConfigError(f"width scales the number of channels and must be positive, got {width}.")
    return {
        resolution: max(8, 8 * round(full * width / 8))
        for resolution, full in FULL_CHANNELS.items()
        if resolution <= size
    }


class ResidualBlock(nn.Module):
    """``(down3x3(plain3x3(x)) + down1x1(x)) / sqrt(2)``, halving the resolution.

    The division is folded into the two branches: the activated one loses its gain of sqrt(2), the skip is scaled.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ActivatedConv2d(in_channels, in_channels, 3, padding=1)
        self.blur = Blur(in_channels, padding=2)
        self.conv2 = ActivatedConv2d(in_channels, out_channels, 3, stride=2, gain=1.0)
        self.skip_blur = Blur(in_channels, padding=1, stride=2)  # a 1x1 convolution never sees the dropped pixels
        self.skip = EqualConv2d(in_channels, out_channels, 1, gain=2**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H/2, W/2)``."""
        deep: Tensor = self.conv2(self.blur(self.conv1(features)))
        shallow: Tensor = self.skip(self.skip_blur(features))
        return deep + shallow


class LIATrunk(nn.Module):
    """Picture → one feature map per resolution, down to 4 px.

    Args:
        size: side of the picture in pixels: 64, 128, 256 or 512.
        width: factor on the number of channels.

    Attributes:
        channels: resolution → channels, coarse first.
    """

    def __init__(self, size: int, width: float) -> None:
        super().__init__()
        self.size = size
        self.channels = lia_channels(size, width)
        fine_first = list(self.channels.values())[::-1]
        self.stem = ActivatedConv2d(3, fine_first[0], 1)
        self.blocks = nn.ModuleList(ResidualBlock(fine, coarse) for fine, coarse in itertools.pairwise(fine_first))

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, size, size)`` → maps fine first, ``(B, C, size, size)`` … ``(B, C, 4, 4)``."""
        check_image(image, size=self.size)
        maps = [self.stem(image.contiguous(memory_format=torch.channels_last))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps
