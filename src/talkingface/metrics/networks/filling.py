"""Building networks that are filled from a file at once."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def empty(build: Callable[[], Network]) -> Network:
    """A network whose tensors are still to be loaded, all of them: drawing 65 million weights first takes seconds.

    Args:
        build: its constructor.
    """
    with torch.device("meta"):
        network = build()
    return network.to_empty(device="cpu")


def widened(tensors: dict[str, Any]) -> dict[str, Tensor]:
    """A file's tensors with every float in 32 bits, for files are often stored in 16.

    Args:
        tensors: name → tensor.

    >>> widened({"w": torch.ones(1).half(), "steps": torch.tensor(3)})["w"].dtype
    torch.float32
    """
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
