"""Registry names in configurations and on the command line, written out before jsonargparse sees them.

``renderer: lia`` and ``--model.renderer lia`` become ``talkingface.renderers.LIARenderer``; what has a dot or a capital
letter is a class already and is left alone.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from talkingface import registry
from talkingface.cli.recipes import find_config
from talkingface.cli.usage import UsageError
from talkingface.core.errors import ConfigError

# name of a constructor's argument → kind of part
SLOTS = {
    "model": "task",
    "data": "data",
    "motion_encoder": "motion",
    "renderer": "renderer",
    "discriminator": "discriminator",
    "perceptual": "perceptual",
    "audio_encoder": "audio",
    "motion_generator": "generator",
    "controls": "controls",
    "reader": "controls",
}
ROOTS = ("model", "data")
SHORT = re.compile(r"(?!null$)[a-z][a-z0-9_-]*")


def written_out(config: Any) -> Any:
    """A configuration file's content with every short name replaced.

    Args:
        config: what the YAML holds; anything but a mapping with ``model`` or ``data`` is returned as it is.

    Raises:
        UsageError: for an unknown name; the known ones are listed, the nearest first.
    """
    if not isinstance(config, dict):
        return config
    return {key: _value(key, value) if key in ROOTS else value for key, value in config.items()}


def rewritten(arguments: list[str]) -> list[str]:
    """A command line with recipes and short names replaced by files and classes.

    Args:
        arguments: what follows the verb.

    Raises:
        UsageError: for an unknown recipe or name.
    """
    result = []
    for option, value, joined in _options(arguments):
        if value is not None:
            value = _option_value(option, value)
        result += [option] if value is None else [f"{option}={value}"] if joined else [option, value]
    return result


def _options(arguments: list[str]) -> Iterator[tuple[str, str | None, bool]]:
    """Split into option, value, and whether they were joined by an equals sign."""
    position = 0
    while position < len(arguments):
        option, sign, value = arguments[position].partition("=")
        position += 1
        if not option.startswith("-"):
            yield arguments[position - 1], None, False
        elif sign:
            yield option, value, True
        elif position < len(arguments) and not arguments[position].startswith("--"):
            yield option, arguments[position], False
            position += 1
        else:
            yield option, None, False


def _option_value(option: str, value: str) -> str:
    if option in ("-c", "--config"):
        return str(find_config(value))
    keys = [key for key in option.removeprefix("--").split(".") if key not in ("init_args", "class_path")]
    if keys[0] not in ROOTS or keys[-1] not in SLOTS:
        return value
    if SHORT.fullmatch(value):
        return _path(keys[-1], value)
    if value.startswith("{"):
        try:
            return json.dumps(_value(keys[-1], yaml.safe_load(value)))
        except yaml.YAMLError as error:
            raise UsageError(f"{option} {value}: not valid YAML ({error}).") from error
    return value


def _value(key: str, value: Any) -> Any:
    if isinstance(value, str) and key in SLOTS and SHORT.fullmatch(value):
        return {"class_path": _path(key, value)}
    if isinstance(value, dict):
        return {inner: _inner(key, inner, item) for inner, item in value.items()}
    return value


def _inner(key: str, inner: str, item: Any) -> Any:
    if inner == "class_path" and key in SLOTS and isinstance(item, str) and SHORT.fullmatch(item):
        return _path(key, item)
    return _value(inner, item)


def _path(key: str, name: str) -> str:
    try:
        return registry.path(SLOTS[key], name)
    except ConfigError as error:
        raise UsageError(f"{key}: {error}") from error
