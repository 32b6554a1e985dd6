"""Muon: matrices step along their orthogonalised momentum (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

Reconstruction finds motion one mode after the other, each some hundred times weaker than the one before: place, then
size, then the turn of the head. Adam evens out single weights, not directions, and a weak mode has to grow out of the
noise of the strong ones. An orthogonalised step is equally long in all directions of a layer.

torch's own Muon takes matrices only; most weights here are convolutions, and one optimiser has to hold all players.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the published quintic iteration: steepest at zero, ends near one
ITERATIONS = 5
ADAM_LENGTH = 0.2  # usual root mean square of Adam's step over its rate, so that one rate serves both (Liu et al. 2025)


class MuonAdam(torch.optim.Adam):
    """Adam, but for the matrices of groups that have a ``momentum``.

    A weight counts as a matrix from its first axis to all others together; vectors, and maps to three channels or
    fewer, which have no directions to even out, stay with Adam.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of all groups."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        held: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            if "momentum" not in group:
                continue
            for weight in group["params"]:
                if weight.grad is not None and is_matrix(weight):
                    self._orthogonal_step(weight, weight.grad, group)
                    held.append((weight, weight.grad))
                    weight.grad = None  # Adam leaves alone what has no gradient
        super().step()
        for weight, gradient in held:
            weight.grad = gradient
        return loss

    def _orthogonal_step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:  # under the names of Adam, which looks for them when it is resumed
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(weight)}
        state["step"] += 1
        momentum = state["exp_avg"].mul_(group["momentum"]).add_(gradient)
        ahead = gradient.add(momentum, alpha=group["momentum"]).flatten(1)  # Nesterov
        length = ADAM_LENGTH * max(ahead.shape) ** 0.5
        weight.add_(orthogonalised(ahead).view_as(weight), alpha=-group["lr"] * length)


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight has directions to even out."""
    return weight.ndim >= 2 and min(weight.shape[0], weight[0].numel()) > 3


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest matrix with all singular values near 1 (0.7 to 1.2), by Newton-Schulz iteration.

    Args:
        matrix: ``(M, N)``.

    >>> values = torch.linalg.svdvals(orthogonalised(torch.diag(torch.tensor([1.0, 0.1, 0.01]))))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """
    a, b, c = COEFFICIENTS
    wide: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.mT
