"""SPADE decoder: every layer is modulated by the warped map itself (Park et al., 2019; LivePortrait's G)."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.nn.spectral import SpectralConv2d
from talkingface.core.nn.volume import enlarge, scaled

SLOPE = 0.2
MIDDLE_BLOCKS = 6


class Spade(nn.Module):
    """Instance norm whose scale and shift are painted from a guide map (Park et al., section 3).

    Args:
        channels: of what is normalised.
        guide_channels: of the guide.
        hidden: channels between guide and scale.
    """

    def __init__(self, channels: int, guide_channels: int, hidden: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(guide_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Features ``(B, channels, H, W)``, guide ``(B, guide_channels, h, w)``, H a multiple of h → like features."""
        hidden = functional.relu(self.shared(enlarge(guide, features.shape[-1] // guide.shape[-1])))
        modulated: Tensor = functional.instance_norm(features) * (1 + self.gamma(hidden)) + self.beta(hidden)
        return modulated


class SpadeBlock(nn.Module):
    """Residual block of two modulated, spectrally normalised convolutions.

    Args:
        in_channels, out_channels: of the block; where they differ, the shortcut is a modulated 1x1 convolution.
        guide_channels, hidden: of its modulations.
    """

    def __init__(self, in_channels: int, out_channels: int, guide_channels: int, hidden: int) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm_0 = Spade(in_channels, guide_channels, hidden)
        self.conv_0 = SpectralConv2d(in_channels, middle, 3, padding=1)
        self.norm_1 = Spade(middle, guide_channels, hidden)
        self.conv_1 = SpectralConv2d(middle, out_channels, 3, padding=1)
        self.norm_s, self.conv_s = None, None
        if in_channels != out_channels:
            self.norm_s = Spade(in_channels, guide_channels, hidden)
            self.conv_s = SpectralConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Features ``(B, in_channels, H, W)`` → ``(B, out_channels, H, W)``."""
        hidden = self.conv_0(functional.leaky_relu(self.norm_0(features, guide), SLOPE))
        hidden = self.conv_1(functional.leaky_relu(self.norm_1(hidden, guide), SLOPE))
        if self.norm_s is not None and self.conv_s is not None:
            features = self.conv_s(self.norm_s(features, guide))
        return cast(Tensor, features + hidden)


class SpadeDecoder(nn.Module):
    """Warped map → picture of four or eight times its size.

    Args:
        channels: of the map.
        width: factor on the published number of channels.
        shuffle: the last convolution paints squares of so many pixels: 2 makes 512 px of a map of 64, 1 makes 256.
    """

    def __init__(self, channels: int, width: float, shuffle: int) -> None:
        super().__init__()
        wide, half, narrow, hidden = (scaled(count, width) for count in (512, 256, 64, 128))
        self.first = nn.Conv2d(channels, wide, 3, padding=1)
        self.middle = nn.ModuleList(SpadeBlock(wide, wide, channels, hidden) for _ in range(MIDDLE_BLOCKS))
        self.up = nn.ModuleList((SpadeBlock(wide, half, channels, hidden), SpadeBlock(half, narrow, channels, hidden)))
        self.to_rgb = nn.Conv2d(narrow, 3 * shuffle**2, 3, padding=1)
        self.shuffle = shuffle

    def forward(self, guide: Tensor) -> Tensor:
        """``(B, channels, h, w)`` → ``(B, 3, 4h * shuffle, 4w * shuffle)`` in ``[0, 1]``."""
        features = self.first(guide)
        for block in self.middle:
            features = block(features, guide)
        for block in self.up:
            features = block(enlarge(features, 2), guide)
        image = self.to_rgb(functional.leaky_relu(features, SLOPE))
        return functional.pixel_shuffle(image, self.shuffle).float().sigmoid()
