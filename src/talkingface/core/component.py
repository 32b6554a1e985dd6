"""Base of all parts: a module that remembers its configuration, and its folder of safetensors and JSON."""

import functools
import importlib
import importlib.metadata
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from safetensors.torch import save_file
from torch import Tensor, nn

from talkingface.core.errors import ConfigError, WeightsError, first_of
from talkingface.core.files import atomic_file, write_text
from talkingface.core.tensors import read_tensors

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"


class Component(nn.Module):
    """A part of the zoo: keyword arguments of the constructor are its whole configuration.

    Positional arguments are *wired in* by whoever owns the part (a renderer is given the motion encoder that it
    renders) and are not configuration. Keyword arguments are recorded, so that the command line, Python and a
    checkpoint describe a part in the same JSON: ``{"class_path": …, "init_args": {…}}``.
    """

    _init_args: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]

    @property
    def config(self) -> dict[str, Any]:
        """Class path and keyword arguments as plain JSON."""
        return {"class_path": public_path(type(self)), "init_args": _to_json(self._init_args)}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``.

        Args:
            folder: made when missing.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.state_dict().items()}
        with atomic_file(folder / WEIGHTS_NAME) as part:
            save_file(tensors, part)
        write_text(folder / CONFIG_NAME, json.dumps(self.config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path, *wired: Any) -> Self:
        """Build a part from its folder and load its weights.

        Args:
            folder: as written by :meth:`save_pretrained`.
            wired: the positional arguments of the part's constructor.

        Raises:
            WeightsError: when a file is missing or damaged, or the tensors do not fit the configuration.
            ConfigError: when the folder holds a part of another kind.
        """
        folder = Path(folder)
        path = folder / CONFIG_NAME
        if not path.is_file():
            raise WeightsError(
                f"{folder} has no {CONFIG_NAME}: not a saved part. Give a folder made by 'save_pretrained'."
            )
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WeightsError(f"{path} is not valid JSON ({error}). Save the model again.") from error
        part = build(config, *wired)
        if not isinstance(part, cls):
            raise ConfigError(f"{folder} holds a {type(part).__name__}, not a {cls.__name__}.")
        part.load_weights(folder / WEIGHTS_NAME)
        return part.eval()

    def load_weights(self, path: str | Path) -> None:
        """Load a safetensors file that must fit exactly.

        Args:
            path: the file.

        Raises:
            WeightsError: missing or damaged file; tensors missing, unknown or of another shape, each named.
        """
        load_exactly(self, read_tensors(path), str(path))


def load_exactly(module: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Load tensors that must fit a module name by name and shape by shape.

    Args:
        module: what to fill.
        tensors: name → tensor.
        origin: where the tensors come from, for the message.

    Raises:
        WeightsError: listing what differs, up to six of each kind.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in tensors]
    unknown = [name for name in tensors if name not in wanted]
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} but the model wants {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    complaints = []
    for title, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes)):
        if names:
            complaints.append(f"{title}: {first_of(names)}")
    if complaints:
        raise WeightsError(f"{origin} does not fit {type(module).__name__}. Tensors {'; '.join(complaints)}.")
    module.load_state_dict(tensors)


def public_path(cls: type) -> str:
    """The path under which users import a class: its package, not the file it is defined in."""
    package, _, _ = cls.__module__.rpartition(".")
    if package and getattr(importlib.import_module(package), cls.__name__, None) is cls:
        return f"{package}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def build(config: dict[str, Any], *wired: Any) -> Any:
    """Build a part from its JSON.

    Args:
        config: ``{"class_path": …, "init_args": {…}}``; nested parts in the arguments are built too.
        wired: positional arguments for the outermost part.

    Raises:
        ConfigError: when the class lies outside talkingface and its installed plugins, does not exist, or refuses
            the arguments.
    """
    path = config.get("class_path", "")
    cls = part_class(path)
    arguments = {
        key: build(value) if isinstance(value, dict) and "class_path" in value else value
        for key, value in config.get("init_args", {}).items()
    }
    try:
        inspect.signature(cls).bind(*wired, **arguments)
    except TypeError as error:
        raise ConfigError(f"'{path}' does not take these arguments: {error}.") from error
    return cls(*wired, **arguments)


def part_class(path: str) -> type[Component]:
    """Import a part's class, if it may be named by a file at all.

    Args:
        path: ``"package.Class"``.

    Raises:
        ConfigError: when the class lies outside talkingface and its installed plugins, does not exist or is no part.
    """
    package, _, name = path.rpartition(".")
    if package.split(".")[0] not in trusted_packages():
        raise ConfigError(f"'{path}' is not a part of talkingface or of an installed talkingface plugin; refused.")
    try:
        cls = getattr(importlib.import_module(package), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"there is no '{path}' ({error}). Is the model from a newer version?") from error
    if not (inspect.isclass(cls) and issubclass(cls, Component)):
        raise ConfigError(f"'{path}' is not a part (a Component); refused.")
    return cls


def wired_names(cls: type[Component]) -> tuple[str, ...]:
    """Names of the positional-only arguments of a part's constructor: what its owner wires in."""
    parameters = inspect.signature(cls).parameters.values()
    return tuple(p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY)


@functools.cache
def trusted_packages() -> frozenset[str]:
    """Top-level packages whose classes a saved model may name: ours and those of installed plugins."""
    plugins = importlib.metadata.entry_points(group="talkingface.plugins")
    return frozenset({"talkingface"} | {plugin.value.split(":")[0].split(".")[0] for plugin in plugins})


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that the outermost call of a build records its keyword arguments, defaults included."""
    signature = inspect.signature(init)
    wired = [p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.POSITIONAL_ONLY]

    @functools.wraps(init)
    def recording_init(self: Component, *args: Any, **kwargs: Any) -> None:
        if "_init_args" not in self.__dict__:  # a subclass that calls its parent has recorded already
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            self.__dict__["_init_args"] = {
                name: value for name, value in bound.arguments.items() if name != "self" and name not in wired
            }
        init(self, *args, **kwargs)

    return recording_init


def _to_json(value: Any) -> Any:
    if isinstance(value, Component):
        return value.config
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"a part's configuration must be plain values, got {type(value).__name__}.")
