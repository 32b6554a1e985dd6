"""Convolution of an enlarged map from the small one: pixels that repeat are multiplied once, by summed weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class EnlargedConv(nn.Module):
    """What a convolution of width 3 makes of :func:`~.volume.enlarge`, for inference.

    Behind a nearest-neighbour enlargement the first pixel of every group sees its own pixel and the one before, the
    last its own and the one after, and all between see their own alone. So each of these phases is a convolution of the
    small map by summed weights: 16 products instead of 36 for a factor of 2, 25 instead of 144 for a factor of 4.

    Args:
        conv: of width 3 and padding 1, over ``(B, C, H, W)`` or ``(B, C, D, H, W)``, whose depth is not enlarged.
        factor: of the enlargement, 2 or more.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, factor: int) -> None:
        super().__init__()
        self.factor, self.channels = factor, conv.out_channels
        places = [slice(0, 1), slice(1, factor - 1), slice(factor - 1, factor)]
        phases = [(phase, place) for phase, place in enumerate(places) if place.start < place.stop]
        self.phases = [(row, column) for row in phases for column in phases]
        bias = None if conv.bias is None else conv.bias.detach()
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.weights = nn.ParameterList(
            nn.Parameter(_summed(_summed(conv.weight.detach(), -2, row), -1, column), requires_grad=False)
            for (row, _), (column, _) in self.phases
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in, …, H, W)`` → ``(B, out, …, H * factor, W * factor)``."""
        height, width = features.shape[-2:]
        volume = features.ndim == 5
        convolve = functional.conv3d if volume else functional.conv2d
        padding = (1, 0, 0) if volume else (0, 0)
        padded = functional.pad(features, (1, 1, 1, 1))
        shape = (features.shape[0], self.channels, *features.shape[2:-2])
        result = features.new_empty(*shape, height, self.factor, width, self.factor)
        for ((row, rows), (column, columns)), weight in zip(self.phases, self.weights, strict=True):
            top, left = int(row > 0), int(column > 0)  # what the padded map starts with is the pixel before
            seen = padded[..., top : top + height + weight.shape[-2] - 1, left : left + width + weight.shape[-1] - 1]
            made = convolve(seen, weight, self.bias, padding=padding)
            result[..., :, rows, :, columns] = made[..., :, None, :, None]
        return result.flatten(-2).flatten(-3, -2)


def _summed(weight: Tensor, axis: int, phase: int) -> Tensor:
    """Weights of width 3 on the small map's pixels: (before, own), (own) or (own, after), by phase."""
    before, own, after = weight.split(1, axis)
    taps = ((before, own + after), (before + own + after,), (before + own, after))[phase]
    return torch.cat(taps, axis)
