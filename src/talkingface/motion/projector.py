"""Projectors between the code space and the low-dimensional motion (AniTalker supplement 3.1 and Table 4)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.nn import EqualLinear

BASIS_OFFSET = 1e-8  # published code adds it before QR


class LinearMotionDecomposition(nn.Module):
    """Motion as coordinates on learned orthonormal directions of the code space (LIA, section 3.2).

    The directions are Q of the reduced QR decomposition of a free matrix. Published weights fix the *signs*: those of
    LAPACK's Householder algorithm, where the diagonal of R may be negative. Gram-Schmidt flips axes and breaks them.

    Args:
        code_dim: width of the code space.
        dim: number of directions.
    """

    def __init__(self, code_dim: int, dim: int) -> None:
        super().__init__()
        # Linear layers without an activation between them: one linear map, whose depth only helps the optimiser.
        self.reduce = nn.Sequential(
            *(EqualLinear(code_dim, code_dim) for _ in range(4)),
            EqualLinear(code_dim, dim),
        )
        for layer in self.reduce:  # a product of five random matrices lets one direction through, and hardly the others
            nn.init.orthogonal_(cast(EqualLinear, layer).weight, gain=code_dim**0.5)
        self.directions = nn.Parameter(torch.randn(code_dim, dim))
        self._cache: tuple[Tensor, Tensor] | None = None

    def basis(self) -> Tensor:
        """Orthonormal directions Q ``(code_dim, dim)``, at least float32; computed once without gradients."""
        if torch.compiler.is_compiling() or (torch.is_grad_enabled() and self.directions.requires_grad):
            return self._orthonormalise()
        # Compared by value, so that no way of writing weights (optimiser, load, EMA swap, .data) can leave it stale.
        if self._cache is not None and self._cache[0].device == self.directions.device:
            seen, basis = self._cache
            if seen.dtype == self.directions.dtype and torch.equal(seen, self.directions):
                return basis
        with torch.inference_mode(False), torch.no_grad():  # a cached inference tensor could never meet autograd again
            self._cache = (self.directions.detach().clone(), self._orthonormalise())
        return self._cache[1]

    def _orthonormalise(self) -> Tensor:
        with torch.autocast(self.directions.device.type, enabled=False):  # QR has no half-precision kernel
            precise = self.directions.to(torch.promote_types(self.directions.dtype, torch.float32))
            basis: Tensor = torch.linalg.qr(precise + BASIS_OFFSET)[0]
            return basis

    def displacement(self, motion: Tensor) -> Tensor:
        """Motion ``(B, dim)`` → step ``(B, code_dim)``: ``sum_k a_k Q[:, k]``."""
        return functional.linear(motion, self.basis().to(motion.dtype))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, code_dim)`` → motion ``(B, dim)``."""
        motion: Tensor = self.reduce(features)
        return motion


class DirectReduction(nn.Module):
    """The ablation's other arm ("FC" in Table 4): one fully connected layer down, one back, nothing orthonormal.

    The supplement describes only the way down (512 → dim). The way back has no bias, so that displacement stays linear
    in the motion and zero motion means no displacement, as relative driving needs; its columns start with unit length
    on average, so that both arms begin with steps of equal size.

    Args:
        code_dim: width of the code space.
        dim: width of the motion.
    """

    def __init__(self, code_dim: int, dim: int) -> None:
        super().__init__()
        self.reduce = EqualLinear(code_dim, dim)
        self.expand = nn.Parameter(torch.randn(code_dim, dim))
        self.scale = code_dim**-0.5

    def displacement(self, motion: Tensor) -> Tensor:
        """Motion ``(B, dim)`` → step ``(B, code_dim)``."""
        return functional.linear(motion * self.scale, self.expand)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, code_dim)`` → motion ``(B, dim)``."""
        motion: Tensor = self.reduce(features)
        return motion
