"""Networks that others trained: where they come from, where they are looked for, and how to fetch them.

The manifest is ``weights.json``; ``sha256`` there is the whole checksum or its beginning (torchvision names its files
after the first eight digits). Most networks are one file. Those of transformers are folders: ``config.json`` beside the
weights, in a repository of the Hugging Face Hub.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from talkingface.core.errors import WeightsError, did_you_mean
from talkingface.core.files import atomic_file

CHUNK = 1 << 20  # bytes
CONFIG_FILE = "config.json"  # of a folder
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")  # of a folder, the safer one first
HUB = "https://huggingface.co/"


@dataclass(frozen=True)
class Network:
    """One entry of the manifest.

    Args:
        name: its short name.
        about: what it is and who trained it.
        file: its file name, or the name of its folder.
        url: where it comes from; empty where only a person can fetch it, ``about`` says how.
        sha256: checksum of the file, or the first digits of it; empty where nobody published it.
        licence: of the weights.
        used_by: the parts and recipes that need it.
        files: what to fetch of a folder, whose ``url`` is a repository of the Hub; empty where the network is one file.
    """

    name: str
    about: str
    file: str
    url: str
    sha256: str
    licence: str
    used_by: tuple[str, ...]
    files: tuple[str, ...] = ()

    def is_at(self, path: Path) -> bool:
        """Whether a path is the kind of thing that the network is: a file, or a folder with all that it needs."""
        if not self.files:
            return path.is_file()
        return (path / CONFIG_FILE).is_file() and any((path / name).is_file() for name in MODEL_FILES)


@functools.cache
def manifest() -> dict[str, Network]:
    """Every known network, by name."""
    content = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

    def field(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    return {
        name: Network(name, **{key: field(value) for key, value in entry.items()}) for name, entry in content.items()
    }


def network(name: str) -> Network:
    """One network of the manifest.

    Raises:
        WeightsError: for an unknown name; the known ones are listed, the nearest first.
    """
    if name not in manifest():
        raise WeightsError(f"no network '{name}' is known; known: {did_you_mean(name, manifest())}.")
    return manifest()[name]


def find_weights(name: str, path: str | Path | None = None) -> Path:
    """Find the file or folder of a network on this machine; nothing is downloaded.

    A file is looked for in this order: ``path``; ``$TALKINGFACE_WEIGHTS/<file>`` and
    ``$TALKINGFACE_WEIGHTS/<name>.safetensors``; ``$TORCH_HOME/hub/checkpoints/<file>`` (``~/.cache/torch`` by default).
    A folder: ``path``; ``$TALKINGFACE_WEIGHTS/<file>`` and ``$TALKINGFACE_WEIGHTS/<name>``; the cache of the Hugging
    Face Hub.

    Args:
        name: its name in the manifest.
        path: a local copy.

    Raises:
        WeightsError: naming the command that fetches it.
    """
    entry = network(name)
    if path is not None:
        path = Path(path).expanduser()
        if not entry.is_at(path):
            fault = "does not exist" if not path.exists() else f"is not {_thing(entry)}"
            raise WeightsError(f"{path} {fault}; it was given as the weights of {name}.")
        return path
    own = os.environ.get("TALKINGFACE_WEIGHTS")
    names = (entry.file, name if entry.files else f"{name}.safetensors")
    places = [Path(own) / place for place in names] if own else []
    for place in (*places, *(_hub_cache(entry) if entry.files else [_torch_home() / "hub/checkpoints" / entry.file])):
        if entry.is_at(place):
            return place
    raise WeightsError(
        f"the weights of {name} are not on this machine. Run 'talkingface doctor --fetch {name}', give the path of a "
        f"local copy, or put {' or '.join(dict.fromkeys(names))} into the folder that $TALKINGFACE_WEIGHTS names."
    )


def model_file(folder: Path) -> Path:
    """The file of a network's folder that holds its weights.

    Raises:
        WeightsError: when there is none.
    """
    for name in MODEL_FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder} has no {' and no '.join(MODEL_FILES)}. Copy or download it again.")


def fetch_weights(
    name: str, *, url: str | None = None, progress: Callable[[int, int | None], None] | None = None
) -> Path:
    """Download a network, check it, and put it where :func:`find_weights` looks; a good copy is kept.

    Args:
        name: its name in the manifest.
        url: a mirror to take it from instead of its origin; the checksum stays the same. For a folder: a mirror of the
            Hub.
        progress: told the bytes done and their total, where the server says it.

    Returns:
        The file or folder.

    Raises:
        WeightsError: when it cannot be fetched, or is not what the manifest says; then no file is left.
    """
    entry = network(name)
    own = os.environ.get("TALKINGFACE_WEIGHTS")
    if entry.files:
        return _fetch_folder(entry, Path(own) / entry.file if own else None, url)
    target = (Path(own) if own else _torch_home() / "hub" / "checkpoints") / entry.file
    if target.is_file() and sha256(target).startswith(entry.sha256):
        return target
    address = url or entry.url
    if not address:
        raise WeightsError(f"{name} has no address that a program can fetch: {entry.about}. {_by_hand(entry)}")
    with atomic_file(target) as part:
        try:
            with urlopen(address, timeout=60) as answer, part.open("wb") as file:
                length = answer.headers.get("Content-Length")
                total = int(length) if length else None
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    if progress is not None:
                        progress(file.tell(), total)
                if total is not None and file.tell() < total:  # urllib takes a broken connection for the end
                    raise ConnectionError(f"the connection broke after {file.tell()} of {total} bytes")
        except (OSError, HTTPException) as error:
            raise WeightsError(f"{name} could not be fetched from {address}: {error}. {_by_hand(entry)}") from error
        found = sha256(part)
        if not found.startswith(entry.sha256):
            raise WeightsError(
                f"{address} is not the file that the manifest describes: its SHA-256 begins with "
                f"{found[: len(entry.sha256)]}, not {entry.sha256}. Nothing was kept; try again or take another mirror."
            )
    return target


def _fetch_folder(entry: Network, target: Path | None, endpoint: str | None) -> Path:
    """Fetch a repository's files into a folder, or into the Hub's cache."""
    from huggingface_hub import snapshot_download

    repository = entry.url.removeprefix(HUB)
    try:
        return Path(
            snapshot_download(repository, allow_patterns=list(entry.files), local_dir=target, endpoint=endpoint)
        )
    except (OSError, ValueError) as error:  # errors of the Hub and of its transport are OSErrors
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"{entry.name} could not be fetched from {endpoint or HUB}: {reason} {_by_hand(entry)}"
        ) from error


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _torch_home() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")  # torch's own rule
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def _hub_cache(entry: Network) -> list[Path]:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(entry.url.removeprefix(HUB), CONFIG_FILE)
    return [Path(found).parent] if isinstance(found, str) else []


def _thing(entry: Network) -> str:
    return f"a folder with {CONFIG_FILE} and {' or '.join(MODEL_FILES)}" if entry.files else "a file"


def _by_hand(entry: Network) -> str:
    return f"Offline? Copy {entry.file} into the folder that $TALKINGFACE_WEIGHTS names."
