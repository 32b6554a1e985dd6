"""Warping: feature volume and keypoints → the map that a decoder paints from (face-vid2vid, section 3.2)."""

from typing import NamedTuple

from torch import Tensor, nn

from talkingface.core.geometry import sample
from talkingface.core.nn.volume import ConvBlock, scaled
from talkingface.renderers.dense_motion import DenseField, DenseMotion

SLOPE = 0.01  # of the one leaky activation here


class Warped(NamedTuple):
    """What the decoder is given, and where it comes from.

    Args:
        features: ``(B, C, h, w)``, dark where the source does not show what is needed.
        field: the dense field.
    """

    features: Tensor
    field: DenseField


class Warping(nn.Module):
    """Move the volume by the dense motion, and flatten it to a map.

    Args:
        keypoints: their number.
        channels, depth, size: of the feature volume.
        width: factor on the published number of channels; the map has ``256 * width``.
    """

    def __init__(self, keypoints: int, channels: int, depth: int, size: int, width: float) -> None:
        super().__init__()
        self.dense_motion = DenseMotion(keypoints, depth, size, width)
        self.out_channels = scaled(256, width)
        self.flatten = ConvBlock(2, channels * depth, self.out_channels, slope=SLOPE)
        self.mix = nn.Conv2d(self.out_channels, self.out_channels, 1)

    def forward(self, volume: Tensor, compressed: Tensor, source: Tensor, target: Tensor) -> Warped:
        """Move a portrait's volume from its own keypoints to others.

        Args:
            volume: ``(B, channels, D, h, w)``.
            compressed: four channels of it, ``(B, 4, D, h, w)``, that dense motion is judged by.
            source, target: keypoints ``(B, K, 3)``.
        """
        field = self.dense_motion(compressed, source, target)
        moved = sample(volume.float(), field.grid).flatten(1, 2).to(self.mix.weight.dtype)
        return Warped(self.mix(self.flatten(moved)) * field.occlusion.to(moved.dtype), field)
