"""Filling a part with tensors that have published names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from talkingface.core.component import Component
from talkingface.core.errors import WeightsError, first_of

NEW = ("motion_range.", "adapter.ranges.")  # published networks have no such thing

Parts = dict[str, Component]


@dataclass(frozen=True)
class Built:
    """What came of a checkpoint.

    Args:
        parts: name → part, in evaluation mode.
        dropped: published tensors without effect → why they are not needed.
        ignored: tensors that belong to no part (optimisers, losses).
    """

    parts: Parts
    dropped: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Talking(Built):
    """What came of a checkpoint of a stage 2: audio encoder and motion generator.

    Args:
        variant: what it was recognised as.
    """

    variant: str = ""


def fill(part: nn.Module, names: dict[str, str], tensors: dict[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Fill a part exactly; published axes of length 1 are dropped.

    Args:
        part: the part.
        names: published name → name in the part.
        tensors: published name → tensor.
        origin: what the checkpoint is called in messages.

    Returns:
        The tensors that are left.

    Raises:
        WeightsError: naming tensors that are missing or of another shape.
    """
    state = part.state_dict()
    missing = [theirs for theirs in names if theirs not in tensors]
    if missing:
        raise WeightsError(f"{origin} does not fit: missing {first_of(missing)}.")
    differing = [
        f"{theirs} is {tuple(tensors[theirs].shape)}, wanted {tuple(state[ours].shape)}"
        for theirs, ours in names.items()
        if _significant(tensors[theirs]) != _significant(state[ours])
    ]
    if differing:
        raise WeightsError(f"{origin} does not fit: {first_of(differing)}.")
    filled = {ours: tensors[theirs].to(state[ours].dtype).view_as(state[ours]) for theirs, ours in names.items()}
    part.load_state_dict(filled | {name: tensor for name, tensor in state.items() if name.startswith(NEW)})
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def refuse(unknown: dict[str, Tensor], origin: str) -> None:
    """Refuse tensors that no part took.

    Raises:
        WeightsError: naming them.
    """
    if unknown:
        raise WeightsError(f"{origin} does not fit: unknown tensors {first_of(list(unknown))}.")


def _significant(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]
