"""Spectral normalisation: a convolution whose largest singular value is held at one (Miyato et al., 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

FIRST_ITERATIONS = 15  # so that the estimate is good before the first step
EPSILON = 1e-12


class SpectralConv2d(nn.Conv2d):
    """Convolution divided by the largest singular value of its weight, ``(out, in * k * k)`` as a matrix.

    The value is tracked by one power iteration for every training pass with gradients; other passes leave it alone.

    Args:
        in_channels, out_channels, kernel_size: as :class:`torch.nn.Conv2d`.
        padding: zeros on each side.
        bias: whether it has one.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, bias=bias)
        matrix = self.weight.flatten(1)
        self.register_buffer("left", functional.normalize(torch.randn(matrix.shape[0]), dim=0, eps=EPSILON))
        self.register_buffer("right", functional.normalize(torch.randn(matrix.shape[1]), dim=0, eps=EPSILON))
        self._iterate(FIRST_ITERATIONS)

    def normalised_weight(self) -> Tensor:
        """The weight ``(out, in, k, k)`` over its largest singular value."""
        if self.training and torch.is_grad_enabled():
            self._iterate(1)
        with torch.autocast(self.weight.device.type, enabled=False):  # a rounded value would scale the whole layer
            left, right = self.left.clone(), self.right.clone()  # the next training pass writes into them
            largest: Tensor = left @ self.weight.flatten(1) @ right
            normalised: Tensor = self.weight / largest
        return normalised

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` → ``(B, out_channels, H', W')``."""
        result: Tensor = self._conv_forward(features, self.normalised_weight(), self.bias)
        return result

    @torch.no_grad()
    def _iterate(self, count: int) -> None:
        with torch.autocast(self.weight.device.type, enabled=False):
            matrix = self.weight.flatten(1)
            for _ in range(count):
                self.right.copy_(functional.normalize(self.left @ matrix, dim=0, eps=EPSILON))
                self.left.copy_(functional.normalize(matrix @ self.right, dim=0, eps=EPSILON))
