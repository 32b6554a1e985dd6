"""The original face-vid2vid's decoder: residual blocks and two upsamplings (face-vid2vid, figure 11)."""

from torch import Tensor, nn

from talkingface.core.nn.volume import PreActivationBlock, UpBlock, scaled

RESIDUAL_BLOCKS = 6


class PlainDecoder(nn.Module):
    """Warped map → picture of four times its size.

    Args:
        channels: of the map.
        width: factor on the published number of channels.
    """

    def __init__(self, channels: int, width: float) -> None:
        super().__init__()
        half, quarter = scaled(128, width), scaled(64, width)
        self.residual = nn.Sequential(*(PreActivationBlock(2, channels) for _ in range(RESIDUAL_BLOCKS)))
        self.up = nn.Sequential(UpBlock(2, channels, half), UpBlock(2, half, quarter))
        self.to_rgb = nn.Conv2d(quarter, 3, 7, padding=3)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, channels, h, w)`` → ``(B, 3, 4h, 4w)`` in ``[0, 1]``."""
        image: Tensor = self.to_rgb(self.up(self.residual(features)))
        return image.float().sigmoid()
