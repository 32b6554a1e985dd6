"""LIA's discriminator: the residual trunk, mini-batch statistics, one logit."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.interfaces import Discriminator
from talkingface.core.nn import ActivatedConv2d, EqualLinear, LIATrunk
from talkingface.core.nn.equalized import ACTIVATION_GAIN, SLOPE

LARGEST_GROUP = 4  # pictures that are compared with each other


class LIADiscriminator(Discriminator):
    """Picture → one logit (StyleGAN2's residual discriminator, as LIA trains with it).

    Args:
        size: side of the picture in pixels: 64, 128, 256 or 512.
        width: factor on the published number of channels.
    """

    def __init__(self, *, size: int = 256, width: float = 1.0) -> None:
        super().__init__()
        self.trunk = LIATrunk(size, width)
        channels = self.trunk.channels[4]
        self.conv = ActivatedConv2d(channels + 1, channels, 3, padding=1)
        self.hidden = EqualLinear(channels * 16, channels)
        self.logit = EqualLinear(channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, size, size)`` in ``[-1, 1]`` → logits ``(B, 1)``."""
        deepest = self.trunk(image)[-1]
        features = self.conv(torch.cat((deepest, batch_deviation(deepest)), dim=1))
        hidden = functional.leaky_relu(self.hidden(features.flatten(1)), SLOPE) * ACTIVATION_GAIN
        logit: Tensor = self.logit(hidden)
        return logit


def batch_deviation(features: Tensor) -> Tensor:
    """How much the pictures of a group differ, as one more map, so that a collapsed generator is found out.

    Pictures are grouped by up to four, with the largest group size that divides the batch; a group is every
    (B / group)-th picture, as published.

    Args:
        features: ``(B, C, H, W)``.

    Returns:
        ``(B, 1, H, W)``: the mean standard deviation (biased) over the group, constant in each picture.
    """
    batch, channels, height, width = features.shape
    group = next(size for size in range(LARGEST_GROUP, 0, -1) if batch % size == 0)
    grouped = features.float().view(group, batch // group, channels, height, width)
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return deviation.repeat(group).to(features.dtype).view(batch, 1, 1, 1).expand(-1, -1, height, width)
