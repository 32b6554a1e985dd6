"""Canonical keypoints from a picture: face-vid2vid's detector (Wang et al. 2021, section 3.1 and figure 11b)."""

import itertools
import math

import torch
from torch import Tensor, nn

from talkingface.core.nn.volume import DownBlock, UpBlock, scaled, volume_grid
from talkingface.core.pyramid import gaussian_downsample

SCALE = 0.25  # of the picture that it sees
STEM, VOLUME = 64, 32  # channels after the first and after the last block
TEMPERATURE = 0.1  # of the softmax over all places
COARSEST = 2  # pixels


class KeypointDetector(nn.Module):
    """Picture → canonical keypoints, as mean places under K heat maps in a volume.

    Args:
        keypoints: their number K.
        size: side of the picture in pixels, a power of two.
        width: factor on the published number of channels.
        depth: slices of the volume.
    """

    def __init__(self, keypoints: int, size: int, width: float = 1.0, depth: int = 16) -> None:
        super().__init__()
        levels = round(math.log2(size * SCALE / COARSEST))
        channels = [scaled(STEM * 2**level, width) for level in range(levels)]
        self.depth = depth
        self.down = nn.Sequential(*(DownBlock(2, *pair) for pair in itertools.pairwise([3, *channels])))
        self.lift = nn.Conv2d(channels[-1], channels[-1] * depth, 1)
        coarse_first = [*channels[::-1], scaled(VOLUME, width)]
        self.up = nn.Sequential(*(UpBlock(3, *pair) for pair in itertools.pairwise(coarse_first)))
        self.heat = nn.Conv3d(coarse_first[-1], keypoints, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, size, size)`` in ``[0, 1]`` → ``(N, K, 3)`` in ``[-1, 1]``."""
        flat = self.lift(self.down(gaussian_downsample(image, SCALE)))
        heat = self.heat(self.up(flat.unflatten(1, (-1, self.depth)))).float()
        places = volume_grid(heat.shape[2:], heat).flatten(0, 2)
        with torch.autocast(heat.device.type, enabled=False):  # a mean place in bfloat16 is off by a pixel
            keypoints: Tensor = (heat.flatten(2) / TEMPERATURE).softmax(-1) @ places
        return keypoints
