"""The joint adversarial step: one backward, one optimiser, a parameter group for each player."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from talkingface.core.errors import TalkingFaceError
from talkingface.tasks.muon import MuonAdam


@dataclass(frozen=True)
class Adam:
    """Settings of one player.

    Args:
        lr: learning rate.
        betas: decay of the first and second moment.
    """

    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)


@dataclass(frozen=True)
class Muon(Adam):
    """Settings of a player whose matrices step along their orthogonalised momentum, see :mod:`~.muon`.

    Args:
        lr: learning rate; one that suits Adam suits it.
        betas: of Adam, which still moves the vectors.
        momentum: of the matrices.
    """

    momentum: float = 0.95


def joint_optimizer(players: Mapping[str, tuple[Iterable[nn.Parameter], Adam]]) -> Optimizer:
    """One optimiser with a named group for each player.

    Args:
        players: name → trainable parameters and settings.
    """
    groups = [
        {"params": [parameter for parameter in parameters if parameter.requires_grad], "name": name, **asdict(settings)}
        for name, (parameters, settings) in players.items()
    ]
    return MuonAdam(groups) if any("momentum" in group for group in groups) else torch.optim.Adam(groups)


def frozen(network: nn.Module) -> Callable[..., Any]:
    """The network with its weights held fixed: gradients flow to the input, none reach the weights.

    With it, ``L_G(frozen D) + L_D(detached fake)`` gives both players' gradients in one backward, each computed before
    either moves, and automatic optimisation (clipping, accumulation, mixed precision, DDP) keeps working.

    Args:
        network: the opponent.
    """
    weights: dict[str, Tensor] = {name: value.detach() for name, value in network.named_parameters()}

    def look(*inputs: Any, **options: Any) -> Any:
        return functional_call(network, weights, inputs, options)

    return look


def clip_by_group(optimizer: Optimizer, value: float | None, algorithm: str | None) -> None:
    """Clip each player's gradient on its own, so that one player's explosion does not silence the other.

    Args:
        optimizer: with one group a player.
        value: largest norm, or largest value; ``None`` and 0 leave the gradients alone.
        algorithm: ``"norm"`` (default) or ``"value"``.
    """
    if not value:
        return
    clip = nn.utils.clip_grad_value_ if algorithm == "value" else nn.utils.clip_grad_norm_
    for group in optimizer.param_groups:
        clip(group["params"], value)


def check_gradients(optimizer: Optimizer, step: int, suspects: str) -> None:
    """Stop at the first step that would write NaN into the weights.

    Args:
        optimizer: with one named group a player, its gradients computed.
        step: number of the step, for the message.
        suspects: what of the data may be broken, for the message.

    Raises:
        TalkingFaceError: when a player's gradient is NaN or infinite.
    """
    for group in optimizer.param_groups:
        grads = [parameter.grad for parameter in group["params"] if parameter.grad is not None]
        if not torch.isfinite(nn.utils.get_total_norm(grads)):
            raise TalkingFaceError(
                f"the {group['name']}'s gradient is NaN or infinite at step {step}: training has diverged. "
                f"Lower its learning rate, clip gradients, or look for broken {suspects} in the data."
            )
