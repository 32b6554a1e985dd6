"""Inputs and weights of the face-vid2vid oracles, drawn from the hash of each name, and how their arrays compare."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity import metric_weights


def image(oracle: Any, name: str, size: int = 256) -> Tensor:
    """Picture of coarse cells and fine noise, ``(1, 3, size, size)`` in (0, 1)."""
    shape = (1, 3, size, size)
    fine = metric_weights.normal(oracle, f"input:{name}", shape).double()
    coarse = metric_weights.normal(oracle, f"input:{name}:coarse", (1, 3, 8, 8)).double()
    coarse = coarse.repeat_interleave(size // 8, 2).repeat_interleave(size // 8, 3)
    return (1.5 * coarse + 0.5 * fine).sigmoid().float()


def tensor(oracle: Any, name: str, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """Scaled normal draws."""
    return metric_weights.normal(oracle, f"input:{name}", shape, scale)


def weights(oracle: Any, keys: str) -> dict[str, Tensor]:
    """Every tensor of a published layout but spectral norms."""
    return metric_weights.tensors(oracle, {name: entry["shape"] for name, entry in oracle.json(keys).items()})


def spectral(oracle: Any, name: str, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The singular vectors of a weight, after ten power iterations in float64."""
    matrix = weight.flatten(1).double()
    left = torch.from_numpy(oracle.random(name).standard_normal(len(matrix))).float().double()
    left = left / left.norm()
    for _ in range(10):
        right = matrix.mT @ left
        right = right / right.norm()
        left = matrix @ right
        left = left / left.norm()
    return left.float(), right.float()


def filled(oracle: Any, keys: str) -> dict[str, Tensor]:
    """Every tensor of a published layout, singular vectors included."""
    tensors = weights(oracle, keys)
    for name in [name for name in tensors if name.endswith(".weight_u")]:
        start = name.removesuffix("_u")
        tensors[name], tensors[f"{start}_v"] = spectral(oracle, name, tensors[f"{start}_orig"])
    return tensors


def expected(oracle: Any, name: str) -> Tensor:
    """The stored values of an array, or the array itself where all of it is stored."""
    values = torch.from_numpy(oracle.numbers[f"{name}/val"])
    shape = tuple(oracle.numbers[f"{name}/shape"])
    return values.view(shape) if values.numel() == np.prod(shape) else values


def at_stored(oracle: Any, name: str, ours: Tensor) -> Tensor:
    """Our values where the oracle has stored its own."""
    assert tuple(oracle.numbers[f"{name}/shape"]) == tuple(ours.shape)
    return ours.detach().flatten()[torch.from_numpy(oracle.numbers[f"{name}/idx"]).long()]
