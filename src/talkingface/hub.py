"""Saved models: a folder of parts, here or on the Hugging Face Hub."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkingface._version import __version__
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.core.files import atomic_folder

if TYPE_CHECKING:
    from talkingface.core.component import Component

FORMAT = 1
INDEX_NAME = "model_index.json"
REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CONSENT = (
    "Animate only faces of people who agreed to it, and say that the result is synthetic. "
    "The licence and the consent terms of the training data apply to the weights as well."
)


@dataclass(frozen=True)
class ModelIndex:
    """What ``model_index.json`` says.

    Args:
        version: the talkingface that wrote it.
        parts: part → names of the parts that are wired into its constructor, in order.
    """

    version: str
    parts: Mapping[str, tuple[str, ...]]

    def order(self) -> list[str]:
        """The parts, each behind those that are wired into it."""
        done: list[str] = []
        while len(done) < len(self.parts):
            ready = [name for name, wired in self.parts.items() if name not in done and set(wired) <= set(done)]
            if not ready:
                raise WeightsError(f"{INDEX_NAME} wires its parts in a circle or to unknown parts: {dict(self.parts)}.")
            done += ready
        return done


def save_model(folder: str | Path, parts: Mapping[str, "Component"], card: Mapping[str, Any]) -> None:
    """Write a model folder, whole or not at all; a model folder that is there already is replaced.

    Args:
        folder: where.
        parts: name → part, for example ``{"motion_encoder": …, "renderer": …}``. A part whose constructor takes
            another one as a positional-only argument finds it here under the argument's name.
        card: what the model card says: heading → text, table (a mapping) or any JSON.

    Raises:
        ConfigError: when a wired part is absent, or the folder holds something that is no model.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / INDEX_NAME).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is no model folder; it is left as it is. Give a new folder.")
    wired = {_part_name(name): _wired(name, type(part), parts) for name, part in parts.items()}
    index = {
        "format": FORMAT,
        "talkingface": __version__,
        "parts": {name: {"wired": list(names)} for name, names in wired.items()},
    }
    with atomic_folder(folder) as part_folder:
        for name, part in parts.items():
            part.save_pretrained(part_folder / name)
        (part_folder / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        (part_folder / "README.md").write_text(model_card(folder.name, parts, card), encoding="utf-8")


def load_model(name_or_folder: str | Path) -> dict[str, "Component"]:
    """Load every part of a model, in evaluation mode, on the CPU.

    Args:
        name_or_folder: a model folder, or a repository ``owner/name`` of the Hugging Face Hub.

    Raises:
        WeightsError: when there is no such model, or its files are damaged or do not fit.
        ConfigError: when it names classes outside talkingface and its plugins.
    """
    from talkingface.core.component import Component

    folder = find_model(name_or_folder)
    index = read_index(folder)
    parts: dict[str, Component] = {}
    for name in index.order():
        wired = [parts[other] for other in index.parts[name]]
        parts[name] = Component.from_pretrained(folder / name, *wired)
    return {name: parts[name] for name in index.parts}


def build_parts(
    configs: Mapping[str, dict[str, Any]], given: Mapping[str, "Component"] | None = None
) -> dict[str, "Component"]:
    """Build parts from their JSON, with fresh weights, each wired to those that its constructor names.

    Args:
        configs: name → ``{"class_path": …, "init_args": {…}}``.
        given: parts that are there already and may be wired in.

    Raises:
        ConfigError: when a class lies outside talkingface and its plugins, or a wired part is absent.
    """
    from talkingface.core.component import build, part_class

    parts: dict[str, Component] = dict(given or {})
    known = {**parts, **configs}
    wired = {name: _wired(name, part_class(config.get("class_path", "")), known) for name, config in configs.items()}
    for name in ModelIndex(__version__, wired | dict.fromkeys(parts, ())).order():
        if name not in parts:
            parts[name] = build(configs[name], *(parts[other] for other in wired[name]))
    return {name: parts[name] for name in configs}


def find_model(name_or_folder: str | Path) -> Path:
    """Folder of a model; one of the Hub is fetched into its cache.

    Args:
        name_or_folder: as in :func:`load_model`.

    Raises:
        WeightsError: when there is no such model.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise WeightsError(f"{folder} is a file; give the model folder that 'talkingface export' or 'convert' makes.")
    if isinstance(name_or_folder, Path) or not REPO_ID.fullmatch(name_or_folder):
        raise WeightsError(
            f"there is no model folder {folder}. Give a folder, or owner/name of a model on the Hugging Face Hub."
        )
    return _download(name_or_folder)


def read_index(folder: str | Path) -> ModelIndex:
    """Read ``model_index.json``; needs no torch.

    Raises:
        WeightsError: when it is missing, damaged, or of a newer format.
    """
    path = Path(folder) / INDEX_NAME
    if not path.is_file():
        raise WeightsError(f"{folder} has no {INDEX_NAME}: not a model folder.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        number, version = int(content["format"]), str(content["talkingface"])
        parts = {_part_name(name): tuple(map(str, part["wired"])) for name, part in content["parts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged ({type(error).__name__}: {error}). Save the model again.") from error
    if number > FORMAT:
        raise WeightsError(f"{path} has format {number}, made by talkingface {version}; update talkingface.")
    return ModelIndex(version, parts)


def model_card(name: str, parts: Mapping[str, "Component"], card: Mapping[str, Any]) -> str:
    """The text of ``README.md``, with the header that the Hub reads.

    Args:
        name: title.
        parts: the parts, named with their class.
        card: see :func:`save_model`.
    """
    lines = ["---", "library_name: talkingface", "tags: [talking-face, video]", "---", "", f"# {name}", ""]
    lines += [f"Made by talkingface {__version__}. Parts:", ""]
    lines += [f"- `{part}`: `{value.config['class_path']}`" for part, value in parts.items()]
    for heading, content in {**card, "Consent": card.get("Consent", CONSENT)}.items():
        lines += ["", f"## {heading}", "", *_prose(content)]
    if "renderer" not in parts:
        return "\n".join([*lines, ""])
    motion = 'audio="speech.wav"' if "motion_generator" in parts else 'driving="clip.mp4"'
    usage = f'animator = talkingface.load("{name}")\nanimator.animate("face.jpg", {motion}).save("out.mp4")'
    return "\n".join([*lines, "", "## Use", "", "```python", "import talkingface", usage, "```", ""])


def _prose(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping) and not any(isinstance(value, Mapping | list) for value in content.values()):
        return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in content.items())]
    return ["```json", json.dumps(content, indent=2, default=str), "```"]


def _part_name(name: str) -> str:
    if not name.isidentifier():  # it becomes a folder: no slashes, no dots
        raise ConfigError(f"'{name}' cannot name a part; use letters, digits and underscores.")
    return name


def _wired(name: str, cls: "type[Component]", known: Collection[str]) -> tuple[str, ...]:
    from talkingface.core.component import wired_names

    wanted = wired_names(cls)
    missing = [other for other in wanted if other not in known]
    if missing:
        raise ConfigError(f"part '{name}' ({cls.__name__}) is wired to {missing}, not among {list(known)}.")
    return wanted


def _download(repo: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo, allow_patterns=["*.json", "*.safetensors", "README.md"]))
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"there is no folder '{repo}', and no model '{repo}' on the Hugging Face Hub that you may read."
        ) from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(
            f"there is no folder '{repo}', and the Hugging Face Hub cannot be reached or is switched off "
            f"(HF_HUB_OFFLINE) and has not cached it. Fetch it once online, or give a folder."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"the model '{repo}' could not be fetched from the Hugging Face Hub: {reason}.") from error
