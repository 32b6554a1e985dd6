"""Reading a published checkpoint: which tensors are the generator's and which the discriminator's."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from talkingface.core.errors import WeightsError
from talkingface.core.tensors import flatten_tensors, read_tensors

# Levels and wrappers that training code puts around the same names: checkpoint dictionaries, DDP, Lightning modules.
WRAPPERS = {"state_dict", "gen", "generator", "module", "lia"}
DISCRIMINATORS = {"dis", "discriminator"}
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of a checkpoint under the names of the published modules.

    Args:
        generator: names from ``enc.`` and ``dec.`` on.
        discriminator: names from ``convs.`` and ``final_`` on; empty where the file has none.
        ignored: names of tensors that belong to neither (optimisers, losses).
    """

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    ignored: tuple[str, ...]


def read_tree(path: str | Path) -> dict[str, Any]:
    """Read a weight file, or all that lie in a folder, without running anything in them.

    Args:
        path: ``.pt``, ``.pth``, ``.ckpt`` or ``.safetensors``, or a folder with such files at any depth.

    Returns:
        A possibly nested dictionary of tensors; of a folder, file → its content.

    Raises:
        WeightsError: missing or damaged file, one that needs code to be read, or a folder without any.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        if not files:
            raise WeightsError(f"{path} holds no weight file ({', '.join(SUFFIXES)}).")
        return {str(file.relative_to(path).with_suffix("")).replace(".", "_"): read_tree(file) for file in files}
    # LIA's files hold the training arguments in an argparse.Namespace, a bag of values without code of its own.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return read_tensors(path)


def sort_tensors(tree: dict[str, Any]) -> Checkpoint:
    """Strip wrappers from the names, and part generator, discriminator and the rest.

    Args:
        tree: a possibly nested dictionary of tensors.

    >>> found = sort_tensors({"gen": {"module.enc.x": torch.zeros(1)}, "dis": {"convs.x": torch.zeros(1)}})
    >>> list(found.generator), list(found.discriminator)
    (['enc.x'], ['convs.x'])
    """
    generator: dict[str, Tensor] = {}
    discriminator: dict[str, Tensor] = {}
    ignored = []
    for name, tensor in flatten_tensors(tree).items():
        path = name.split(".")
        judged = False
        while path[0] in WRAPPERS | DISCRIMINATORS:
            judged |= path.pop(0) in DISCRIMINATORS
        if judged:
            discriminator[".".join(path)] = tensor
        elif path[0] in ("enc", "dec"):
            generator[".".join(path)] = tensor
        else:
            ignored.append(name)
    return Checkpoint(generator, discriminator, tuple(ignored))
