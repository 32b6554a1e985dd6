"""Networks that others trained and that we only look through: never trained, never written to a checkpoint."""

from collections.abc import Callable
from typing import Any, Self

from torch import Tensor, nn


class Frozen(nn.Module):
    """A frozen network: it moves with its owner, but has no gradients, no training mode and no saved state.

    Args:
        network: the network; it is put into evaluation mode.

    >>> task = nn.ModuleDict({"vgg": Frozen(nn.Linear(2, 2))})
    >>> list(task.train().parameters()), task["vgg"].network.training
    ([], False)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a tuple it is no submodule: optimisers, checkpoints, EMA and DDP do not see it.
        self._holder = (network.eval().requires_grad_(False),)

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self._holder[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Whatever the network computes; gradients flow through it to its input."""
        return self.network(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.network._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self
