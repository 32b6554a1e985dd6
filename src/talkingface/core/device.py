"""Where to compute, and seeded randomness."""

import torch

from talkingface.core.errors import DeviceError


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a device name into a device of this machine.

    Args:
        name: ``"auto"`` (CUDA, then Apple's MPS, then CPU), or any torch device such as ``"cpu"`` and ``"cuda:1"``.

    Raises:
        DeviceError: when the machine has no such device, or the name means nothing.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"'{name}' is not a device. Use auto, cpu, cuda, cuda:N or mps.") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise DeviceError(
            f"device '{name}' was asked for, but {found} CUDA devices are usable here. Use --device cpu or auto."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(
            f"device '{name}' was asked for, but this machine has no Apple GPU. Use --device cpu or auto."
        )
    return device


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator that gives the same draws for the same seed.

    Args:
        seed: any integer.
        device: where the draws are made.
    """
    return torch.Generator(device=device).manual_seed(seed)
