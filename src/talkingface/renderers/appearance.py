"""Appearance of a portrait: picture → feature volume (face-vid2vid, section 3.1; LivePortrait's F)."""

from torch import Tensor, nn

from talkingface.core.nn.volume import ConvBlock, DownBlock, PreActivationBlock, scaled

RESIDUAL_BLOCKS = 6


class AppearanceEncoder(nn.Module):
    """Picture → feature volume at a quarter of its size.

    Args:
        depth: slices of the volume.
        width: factor on the published number of channels; the volume has ``32 * width``.
        kernel: of the first convolution: 7 in the original face-vid2vid, 3 in all later ones.
    """

    def __init__(self, depth: int, width: float, kernel: int) -> None:
        super().__init__()
        first, second, third = (scaled(count, width) for count in (64, 128, 256))
        self.channels, self.depth = scaled(32, width), depth
        self.first = ConvBlock(2, 3, first, kernel)
        self.down = nn.Sequential(DownBlock(2, first, second), DownBlock(2, second, third))
        self.lift = nn.Conv2d(third, self.channels * depth, 1)
        self.residual = nn.Sequential(*(PreActivationBlock(3, self.channels) for _ in range(RESIDUAL_BLOCKS)))

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in ``[0, 1]`` → ``(N, channels, depth, H/4, W/4)``."""
        maps = self.lift(self.down(self.first(image)))
        volume: Tensor = self.residual(maps.unflatten(1, (self.channels, self.depth)))
        return volume
