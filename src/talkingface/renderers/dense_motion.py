"""Dense motion: keypoints → where every voxel comes from, and what is hidden (face-vid2vid, section 3.2)."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn

from talkingface.core.geometry import sample
from talkingface.core.nn.volume import ConvBlock, DeepConv3d, DownBlock, UpBlock, scaled, volume_grid

COMPRESSED = 4  # channels of the volume that candidates are judged by
VARIANCE = 0.01  # of a keypoint's heat map, in units of half the picture
LARGEST_HOURGLASS = 5  # times that it halves
SMALLEST_MAP = 2  # pixels: what it halves down to


class DenseField(NamedTuple):
    """Where to take a volume from.

    Args:
        grid: ``(B, D, h, w, 3)``, x, y, z, as :func:`~talkingface.core.geometry.sample` reads it.
        occlusion: how much of the warped features is shown, ``(B, 1, h, w)`` in ``[0, 1]``.
        mask: how much each candidate has in the grid, ``(B, K + 1, D, h, w)``, adding up to 1; the first stands still.
    """

    grid: Tensor
    occlusion: Tensor
    mask: Tensor


class Hourglass(nn.Module):
    """U-shaped network over volumes whose depth stays.

    Args:
        in_channels: of the volume.
        base: channels of the finest way up; doubled with every halving.
        levels: how often height and width are halved.
    """

    def __init__(self, in_channels: int, base: int, levels: int) -> None:
        super().__init__()
        counts = [in_channels, *(base * 2**level for level in range(1, levels + 1))]
        self.down = nn.ModuleList(DownBlock(3, fine, coarse) for fine, coarse in itertools.pairwise(counts))
        ways_up = reversed(range(levels))
        joined = [base * 2 ** (level + 1) * (1 if level == levels - 1 else 2) for level in range(levels)]
        self.up = nn.ModuleList(UpBlock(3, joined[level], base * 2**level) for level in ways_up)
        self.out_channels = base + in_channels
        self.last = ConvBlock(3, self.out_channels, self.out_channels)

    def forward(self, volume: Tensor) -> Tensor:
        """``(B, in_channels, D, h, w)`` → ``(B, out_channels, D, h, w)``."""
        skips = [volume]
        for down in self.down:
            skips.append(down(skips[-1]))
        hidden = skips.pop()
        for up in self.up:
            hidden = torch.cat((up(hidden), skips.pop()), 1)
        result: Tensor = self.last(hidden)
        return result


class DenseMotion(nn.Module):
    """Keypoints of source and target → dense field, as a mixture of one translation for each keypoint.

    Args:
        keypoints: their number K.
        depth, size: of the feature volume.
        width: factor on the published number of channels.
    """

    def __init__(self, keypoints: int, depth: int, size: int, width: float) -> None:
        super().__init__()
        levels = min(LARGEST_HOURGLASS, (size // SMALLEST_MAP).bit_length() - 1)
        self.hourglass = Hourglass((keypoints + 1) * (COMPRESSED + 1), scaled(32, width), levels)
        self.mask = DeepConv3d(self.hourglass.out_channels, keypoints + 1, 7)
        self.occlusion = nn.Conv2d(self.hourglass.out_channels * depth, 1, 7, padding=3)

    def forward(self, compressed: Tensor, source: Tensor, target: Tensor) -> DenseField:
        """The field that moves the source's keypoints to the target's.

        Args:
            compressed: the source's volume in four channels, ``(B, 4, D, h, w)``.
            source, target: keypoints ``(B, K, 3)``.
        """
        batch, shape = compressed.shape[0], list(compressed.shape[2:])
        still = source.new_zeros(batch, 1, 3)
        shifts = torch.cat((still, source - target), 1)
        grid = volume_grid(shape, shifts)
        candidates = (grid + shifts[:, :, None, None, None]).flatten(0, 1)
        repeated = compressed.float().repeat_interleave(shifts.shape[1], 0)
        seen = sample(repeated, candidates).unflatten(0, shifts.shape[:2])
        heat = gaussians(target, shape) - gaussians(source, shape)
        heat = torch.cat((torch.zeros_like(heat[:, :1]), heat), 1)
        evidence = torch.cat((heat.unsqueeze(2), seen), 2).flatten(1, 2)
        features = self.hourglass(evidence.to(self.mask.weight.dtype))
        with torch.autocast("cpu", enabled=False):  # torch 2.15's bfloat16 gradient of it corrupts memory on a CPU
            mask = self.mask(features.to(self.mask.weight.dtype)).float().softmax(1)
        occlusion = self.occlusion(features.flatten(1, 2)).float().sigmoid()
        moved = grid + torch.einsum("bkdhw,bkc->bdhwc", mask, shifts)
        return DenseField(moved, occlusion, mask)


def gaussians(keypoints: Tensor, shape: list[int]) -> Tensor:
    """Heat maps of keypoints: ``exp(-0.5 |p - keypoint|^2 / 0.01)``, one axis after the other.

    Args:
        keypoints: ``(B, K, 3)``.
        shape: depth, height and width of the maps.

    Returns:
        ``(B, K, D, h, w)`` in ``[0, 1]``.
    """
    axes = []
    for axis, count in zip((2, 1, 0), shape, strict=True):  # depth is z, height is y, width is x
        places = torch.linspace(-1, 1, count, device=keypoints.device, dtype=keypoints.dtype)
        axes.append(torch.exp(-0.5 * (places - keypoints[..., axis, None]) ** 2 / VARIANCE))
    z, y, x = axes
    return z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]
