"""Networks that others trained and that we only look through: never trained, never written to a checkpoint."""

from typing import Any, Self

from torch import nn


class Frozen(nn.Module):
    """A frozen network: it moves with its owner, but has no gradients, no training mode and no saved state.

    Args:
        network: the network; it is put into evaluation mode.

    >>> task = nn.ModuleDict({"vgg": Frozen(nn.Linear(2, 2))})
    >>> task.train().state_dict(), task["vgg"].network.training
    (OrderedDict(), False)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Whatever the network computes; gradients flow through it to its input."""
        return self.network(*args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode whatever the owner does."""
        return self

    def state_dict(self, *args: Any, destination: Any = None, **kwargs: Any) -> Any:
        """Nothing: the weights stay in the file that they came from."""
        return {} if destination is None else destination

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Expect nothing from a checkpoint, so that strict loading works."""
