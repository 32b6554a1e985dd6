"""ConvNeXt V2 (Woo et al. 2023): the trunk of LivePortrait's motion extractor."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTHS = (3, 3, 9, 3)  # the "tiny" network
CHANNELS = (96, 192, 384, 768)
STRIDE = 32  # of the last map
EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` → the same shape."""
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


class GlobalResponseNorm(nn.Module):
    """Channels compete by their norm over the picture: ``y = gamma x n + beta + x`` (ConvNeXt V2, section 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, H, W, C)`` → the same shape."""
        norm = torch.linalg.vector_norm(features, dim=(1, 2), keepdim=True)
        response = norm / (norm.mean(-1, keepdim=True) + EPS)
        competing: Tensor = self.gamma * (features * response) + self.beta + features
        return competing


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, then an inverted bottleneck per pixel, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.expand = nn.Linear(channels, 4 * channels)
        self.response = GlobalResponseNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` → the same shape."""
        hidden: Tensor = self.norm(self.depthwise(features).movedim(1, -1))
        hidden = self.reduce(self.response(functional.gelu(self.expand(hidden))))
        return features + hidden.movedim(-1, 1)


class ConvNeXt(nn.Module):
    """Picture → map of a 32nd of its size.

    Args:
        width: factor on the published number of channels.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = [max(8, round(width * count)) for count in CHANNELS]
        self.channels = channels[-1]
        self.downsample = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, channels[0], 4, stride=4), ChannelNorm(channels[0]))]
        )
        self.downsample.extend(
            nn.Sequential(ChannelNorm(coarse), nn.Conv2d(coarse, fine, 2, stride=2))
            for coarse, fine in itertools.pairwise(channels)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(count) for _ in range(depth)))
            for count, depth in zip(channels, DEPTHS, strict=True)
        )
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` → ``(N, channels, H / 32, W / 32)``."""
        features = image
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            features = stage(downsample(features))
        return features


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)  # as published
        assert module.bias is not None
        nn.init.zeros_(module.bias)
