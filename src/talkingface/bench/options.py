"""Settings of a training configuration by dotted name, checked against what the classes take."""

import importlib
import inspect
from typing import Any

from talkingface.core.errors import ConfigError, did_you_mean

ROOTS = ("model", "data", "trainer")
OWN = {  # what the plan itself decides
    "seed_everything": "seeds",
    "trainer.max_steps": "steps",
    "trainer.max_epochs": "steps",
    "trainer.logger": "nothing: every cell logs to CSV",
}

Config = dict[str, Any]


def set_option(config: Config, key: str, value: Any) -> None:
    """Set ``model.motion_encoder.dim`` and the like, as the command line of ``talkingface fit`` does.

    Args:
        config: of a training run with every short name written out, changed in place.
        key: dotted; ``init_args`` is left out.
        value: what it becomes; a part is written as in a recipe, by class or short name.

    Raises:
        ConfigError: for a key that the class there does not take; its arguments are listed, the nearest first.
    """
    for own, decider in OWN.items():
        if key == own or key.startswith(f"{own}."):
            raise ConfigError(f"'{key}' is not for overrides; it is decided by {decider}.")
    root, *names = key.split(".")
    if root not in ROOTS or not names:
        raise ConfigError(f"there is no setting '{key}'; it must lie in {did_you_mean(root, ROOTS)}.")
    node = config.setdefault(root, {})
    for depth, name in enumerate(names):
        if not isinstance(node, dict):
            raise ConfigError(f"'{key}' cannot be set: '{names[depth - 1]}' is {node!r} in the base recipe.")
        if root == "trainer" and depth == 0:
            _argument(key, name, "lightning.Trainer")
        elif isinstance(node.get("class_path"), str):
            _argument(key, name, node["class_path"])
            node = node.setdefault("init_args", {})
        if depth == len(names) - 1:
            node[name] = value
        else:
            node = node.setdefault(name, {})


def _argument(key: str, name: str, class_path: str) -> None:
    """Refuse what a class does not take."""
    module, _, attribute = class_path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"'{key}': the class {class_path} cannot be imported ({error}).") from error
    parameters = inspect.signature(cls).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if name not in known:
        raise ConfigError(f"'{key}': {class_path} has no '{name}'; it has: {did_you_mean(name, known)}.")
