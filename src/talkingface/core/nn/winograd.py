"""Winograd's convolution F(4x4, 3x3): a quarter of the multiplications (Lavin and Gray, 2016, section 4.3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

STEP, TILE = 4, 6  # pixels made, and pixels read, along each side of a tile

FROM_PIXELS = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
FROM_PIXELS += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
FROM_WEIGHT = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]  # in 24ths
TO_PIXELS = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class WinogradConv(nn.Module):
    """A convolution of width 3 and padding 1, for inference in float32 on a CPU.

    It pays from about 128 channels on: with fewer, what is saved in products is spent on moving tiles. Results differ
    from the direct ones by rounding, some 1e-5 of their size.

    Args:
        conv: whose result it gives, for maps whose sides are multiples of 4.
    """

    to_pixels: Tensor
    from_pixels: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        from_weight = torch.tensor(FROM_WEIGHT, dtype=torch.float64) / 24
        taps = conv.weight.detach().double().flatten(2).permute(2, 0, 1).flatten(1)
        weight = torch.kron(from_weight, from_weight) @ taps
        shape = (TILE * TILE, conv.out_channels, conv.in_channels)
        self.weight = nn.Parameter(weight.view(shape).float(), requires_grad=False)
        self.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
        for name, matrix in (("from_pixels", FROM_PIXELS), ("to_pixels", TO_PIXELS)):
            sides = torch.tensor(matrix, dtype=torch.float32)
            self.register_buffer(name, torch.kron(sides, sides))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in, H, W)`` → ``(B, out, H, W)``."""
        batch, channels, height, width = features.shape
        down, across = height // STEP, width // STEP
        padded = functional.pad(features, (1, 1, 1, 1))
        made = features.new_empty(batch, len(self.bias), down, STEP, across, STEP)
        rows = max(1, channels // (2 * across))  # of tiles at a time, so that they stay in the cache
        for top in range(0, down, rows):
            count = min(rows, down - top)
            for picture in range(batch):
                tiles = self._tiles(padded[picture, :, STEP * top : STEP * (top + count) + TILE - STEP], count, across)
                products = self.weight @ (self.from_pixels @ tiles).view(TILE * TILE, channels, -1)
                pixels = (self.to_pixels @ products.flatten(1)).view(STEP, STEP, -1, count, across)
                made[picture, :, top : top + count] = pixels.permute(2, 3, 0, 4, 1)
        return made.view(batch, -1, height, width).add_(self.bias[:, None, None])

    @staticmethod
    def _tiles(strip: Tensor, down: int, across: int) -> Tensor:
        """Every place of a tile as a map over tiles: ``(in, 4 down + 2, 4 across + 2)`` → ``(36, in * tiles)``."""
        tiles = strip.new_empty(TILE, TILE, len(strip), down, across)
        for y in range(TILE):
            for x in range(TILE):
                tiles[y, x] = strip[:, y : y + STEP * down - STEP + 1 : STEP, x : x + STEP * across - STEP + 1 : STEP]
        return tiles.view(TILE * TILE, -1)
