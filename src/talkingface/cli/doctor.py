"""``doctor``: what this machine has, what is missing, and how to get it."""

import importlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from talkingface import registry, weights
from talkingface._version import __version__
from talkingface.cli import usage
from talkingface.cli.progress import bytes_bar
from talkingface.core.errors import ConfigError, WeightsError

PACKAGES = (
    *("torch", "torchvision", "lightning", "jsonargparse", "torchmetrics", "av", "decord", "soundfile", "safetensors"),
    *("lpips", "facenet_pytorch", "face_alignment", "pyarrow"),
)


def run(verb: str, arguments: list[str]) -> int:
    """Examine the machine, or fetch a network."""
    parser = usage.parser(
        verb,
        "Check this machine; fetch the networks of others that parts need.",
        "doctor",
        "doctor --fetch vgg19",
    )
    parser.add_argument("--fetch", metavar="NAME", help="download a network of 'talkingface list', checked by SHA-256")
    usage.add_json(parser)
    options = parser.parse_args(arguments)
    if options.fetch:
        return _fetch(options.fetch, options.json)
    report = examine()
    if options.json:
        usage.write_json(report)
    else:
        for title, facts in report.items():
            usage.write("\n".join([title, *(f"  {name}: {fact}" for name, fact in facts.items()), ""]))
    return 0


def examine() -> dict[str, Mapping[str, Any]]:
    """Facts by section; a package that does not import is named with its reason."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    machine = {
        "talkingface": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cuda devices": ", ".join(gpus) or "none",
        "apple gpu": torch.backends.mps.is_available(),
    }
    parts = {}
    for part in registry.parts():
        try:
            registry.load(part.kind, part.name)
        except ConfigError as error:
            parts[f"{part.kind}.{part.name}"] = str(error)
    return {
        "machine": machine,
        "packages": {name: _package(name) for name in PACKAGES},
        "networks of others": {name: _network(name) for name in weights.manifest()},
        "parts that cannot be used": {**registry.broken(), **parts},
    }


def _package(name: str) -> str:
    try:
        importlib.import_module(name)
        return version(name)
    except (ImportError, OSError, PackageNotFoundError) as error:  # OSError: a shared library is missing
        return f"not usable: {error}"


def _network(name: str) -> str:
    try:
        return str(weights.find_weights(name))
    except WeightsError as error:
        return str(error)


def _fetch(name: str, as_json: bool) -> int:
    network = weights.network(name)
    with bytes_bar(network.file) as progress:
        path = weights.fetch_weights(name, progress=progress)
    if as_json:
        usage.write_json({"name": name, "path": str(path), "licence": network.licence})
    else:
        usage.write(f"{path} ({network.licence})")
    return 0
