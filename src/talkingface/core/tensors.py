"""Reading weight files of any origin without running anything that they contain."""

import pickle
import re
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from talkingface.core.errors import WeightsError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # first bytes of PyTorch's present and old file formats
# what torch.load raises on truncated or altered files; it has no error class of its own for them
BROKEN = (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError, struct.error)


def read_tensors(path: str | Path) -> dict[str, Any]:
    """Read a weight file onto the CPU; nothing in it is executed.

    Args:
        path: ``.safetensors``, or a PyTorch file (``.pt``, ``.pth``, ``.ckpt``, ``.bin``), read with
            ``weights_only=True``.

    Returns:
        name → tensor; for a PyTorch file the dictionary as it was saved, possibly nested and with plain values.

    Raises:
        WeightsError: missing, empty or damaged file; a pickle that needs code, naming what it wanted to call; a file
            that holds no dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist or is no file; a weight file should be there.")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty. Copy or download it again.")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise WeightsError(f"{path} is not a readable safetensors file ({error}). Copy it again.") from error
    with path.open("rb") as file:
        start = file.read(4)
    if not (start == ZIP or start.startswith(PICKLE)):
        raise WeightsError(f"{path} is not a PyTorch weight file. Copy or download it again.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = _forbidden_name(str(error))
        what = f"needs code to be read ({called})" if called else "uses more than tensors need, or is damaged"
        raise WeightsError(
            f"{path} is a pickle that {what}; refused, for it could run anything. "
            f"Get it as a plain state_dict or as safetensors."
        ) from error
    except BROKEN as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
        raise WeightsError(f"{path} is damaged ({reason}). Copy or download it again.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors.")
    return content


def flatten_tensors(tree: dict[str, Any]) -> dict[str, Tensor]:
    """Pick the tensors of a nested dictionary under dotted names.

    Args:
        tree: as :func:`read_tensors` returns it.

    >>> sorted(flatten_tensors({"gen": {"a": torch.zeros(1)}, "step": 3}))
    ['gen.a']
    """
    flat: dict[str, Tensor] = {}
    for name, value in tree.items():
        if isinstance(value, Tensor):
            flat[str(name)] = value
        elif isinstance(value, dict):
            flat |= {f"{name}.{inner}": tensor for inner, tensor in flatten_tensors(value).items()}
    return flat


def _forbidden_name(message: str) -> str | None:
    """The class or function that a refused pickle wanted, from torch's message."""
    found = re.search(r"(?:GLOBAL|global|class|callable|function)[: ]+`?([A-Za-z_][\w.]*\.[\w.]*\w)", message)
    return found.group(1) if found else None
