"""Weights of metrics' networks for the parity tests, drawn from the hash of each name (SPEC, section 4.0)."""

from math import prod
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Draws(Protocol):
    """What the rule needs of an oracle: a generator for each hashed name."""

    def random(self, key: str) -> np.random.Generator: ...


def tensors(oracle: Draws, keys: dict[str, list[int]], prefix: str = "") -> dict[str, Tensor]:
    """Every tensor of a published layout, filled by the rule.

    Args:
        oracle: what draws.
        keys: name → shape, as the ``keys_*.json`` files have them.
        prefix: in front of each name in the hash, such as ``"facenet."``; not in the result's names.
    """
    return {name: tensor(oracle, prefix + name, tuple(shape)) for name, shape in keys.items()}


def tensor(oracle: Draws, name: str, shape: tuple[int, ...]) -> Tensor:
    """One tensor: normal draws, scaled by what the last part of its name says that it is."""
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.long)
    draws = normal(oracle, name, shape)
    if len(shape) >= 2:
        return draws / np.float32(np.sqrt(prod(shape[1:])))
    if last == "weight":  # batch norm, PReLU, L2Norm
        return 1 + 0.1 * draws
    if last == "running_var":
        return 0.5 + draws.abs()
    return 0.1 * draws  # running_mean and biases


def normal(oracle: Draws, key: str, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """Normal draws in float32, as the specification's ``normal(key, shape)``, times a scale."""
    draws = scale * oracle.random(key).standard_normal(shape)
    return torch.from_numpy(np.ascontiguousarray(draws, dtype=np.float32).reshape(shape))
