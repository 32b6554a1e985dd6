"""Patch discriminator of face-vid2vid: how real every patch looks, and the features that it judges by (table 2.5)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_image
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import Discriminator
from talkingface.core.nn.spectral import SpectralConv2d
from talkingface.core.nn.volume import halve, scaled
from talkingface.core.pyramid import gaussian_downsample

SLOPE = 0.2
KERNEL = 4
BLOCKS = 4
SMALLEST = 53  # pixels: below, the last convolution has nothing to see


class PatchCritic(nn.Module):
    """One scale: four convolutions, then a logit for every patch.

    Args:
        width: factor on the published number of channels.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        counts = [3, *(scaled(64 * 2**block, width) for block in range(BLOCKS))]
        self.convs = nn.ModuleList(SpectralConv2d(counts[i], counts[i + 1], KERNEL) for i in range(BLOCKS))
        self.norms = nn.ModuleList(nn.InstanceNorm2d(count, affine=True) for count in counts[2:])
        self.logit = SpectralConv2d(counts[-1], 1, 1)

    def features(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` in ``[0, 1]`` → four maps, fine first."""
        maps: list[Tensor] = []
        hidden = image
        for block, conv in enumerate(self.convs):
            hidden = conv(hidden)
            if block:
                hidden = self.norms[block - 1](hidden)
            hidden = functional.leaky_relu(hidden, SLOPE)
            if block < BLOCKS - 1:
                hidden = halve(hidden)
            maps.append(hidden)
        return maps


class PatchDiscriminator(Discriminator):
    """Picture → a logit for every patch, at one or several scales.

    Args:
        scales: sides of the pictures that are judged over that of the picture: 1, or one over an integer.
        width: factor on the published number of channels.

    Raises:
        ConfigError: without a scale.
    """

    def __init__(self, *, scales: Sequence[float] = (1.0,), width: float = 1.0) -> None:
        super().__init__()
        if not scales:
            raise ConfigError("a patch discriminator needs at least one scale, such as 1.0.")
        self.scales = tuple(scales)
        self.critics = nn.ModuleList(PatchCritic(width) for _ in self.scales)

    def features(self, image: Tensor) -> list[Tensor]:
        """What the judgement rests on: ``(B, 3, H, W)`` in ``[-1, 1]`` → four maps of every scale, fine first.

        Raises:
            ShapeError: when the picture is too small for its smallest scale.
        """
        check_image(image)
        smallest = min(image.shape[-2:]) * min(self.scales)
        if smallest < SMALLEST:
            raise ShapeError(
                f"the smallest scale of the picture has {smallest:g} px and a patch discriminator needs {SMALLEST} px; "
                "give larger pictures, or no such scale."
            )
        unit = image / 2 + 0.5
        return [
            features
            for scale, critic in zip(self.scales, self.critics, strict=True)
            for features in cast(PatchCritic, critic).features(gaussian_downsample(unit, scale))
        ]

    def logits(self, features: list[Tensor]) -> Tensor:
        """:meth:`features` → logits ``(B, P)``, one for each of P patches."""
        last = features[BLOCKS - 1 :: BLOCKS]
        judged = [cast(PatchCritic, critic).logit(maps) for critic, maps in zip(self.critics, last, strict=True)]
        return torch.cat([logits.flatten(1) for logits in judged], 1)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → logits ``(B, P)``, one for each of P patches."""
        return self.logits(self.features(image))
