"""A bench file, read and checked in full before anything is trained."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from talkingface.bench.columns import CONTROLS, SPEECH, SPEECH_CONTROLS, column_names, task_of
from talkingface.bench.options import Config, set_option
from talkingface.bench.plan import NEEDS, Evaluation, Fit, Plan, Variant
from talkingface.core.errors import ConfigError, did_you_mean

ASKED = ("mouth", "steps", "guidance")  # of an animator, when a variant is judged
KEYS = (
    "title",
    "source",
    "representation",
    "expert",
    "base",
    "options",
    "variants",
    "seeds",
    "steps",
    "columns",
    "controls",
    "evaluation",
)


def read_plan(path: Path, find_recipe: Callable[[str], Path], written_out: Callable[[Config], Config]) -> Plan:
    """Read and check a bench file.

    Args:
        path: YAML with the keys ``title``, ``source``, ``base``, ``options``, ``variants`` (name → ``label`` and
            ``overrides``), ``seeds``, ``steps``, ``columns``, ``controls``, ``evaluation`` and, for stage 2,
            ``representation`` (``base``, ``options``, ``steps`` and ``seed`` of the stage 1 that the variants share),
            and in the same way the ``expert`` of editors. A variant of another method has a ``base``, and these, of its
            own. ``animate`` of a variant is what its model is asked for when it is judged.
        find_recipe: finds ``base`` where it does not lie beside the file.
        written_out: replaces the short names in a configuration by class paths.

    Raises:
        ConfigError: for anything unknown or missing; the message names the file, the place and what is known.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _plan(path, content, find_recipe, written_out)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _plan(
    path: Path, content: Any, find_recipe: Callable[[str], Path], written_out: Callable[[Config], Config]
) -> Plan:
    _known("the file", _mapping("the file", content), KEYS)
    for key in ("title", "base", "variants", "steps", "columns"):
        if key not in content:
            raise ConfigError(f"'{key}' is missing; a bench file has {', '.join(KEYS)}.")
    columns = _names("columns", content["columns"], column_names())
    controls = _names("controls", content.get("controls", list(CONTROLS)), (*CONTROLS, *SPEECH_CONTROLS))

    def recipe(name: Any, changes: Mapping[str, Any]) -> Config:
        """The configuration of a recipe with settings changed."""
        beside = path.parent / str(name)
        file = beside if beside.is_file() else find_recipe(str(name))
        config = written_out(_mapping(str(file), yaml.safe_load(file.read_text(encoding="utf-8"))))
        for key, value in changes.items():
            set_option(config, key, value)
            config = written_out(config)
        return config

    def needs(about: Mapping[str, Any], whose: str = "") -> dict[str, Fit]:
        """The training runs that come first."""
        found = {}
        for name in NEEDS:
            where = name + whose
            first = _mapping(where, about.get(name) or {})
            _known(where, first, ("base", "options", "steps", "seed"))
            if first:
                config = recipe(first.get("base"), _mapping(f"{where}.options", first.get("options") or {}))
                steps = _whole(f"{where}.steps", first.get("steps"), 1)
                found[name] = Fit(config, _whole(f"{where}.seed", first.get("seed", 0), 0), steps)
        return found

    options = _mapping("options", content.get("options") or {})
    shared = needs(content)
    variants = []
    for name, about in _mapping("variants", content["variants"]).items():
        where = f"variant '{name}'"
        _known(where, _mapping(where, about), ("label", "overrides", "base", "animate", *NEEDS))
        changes = _mapping(f"overrides of {where}", about.get("overrides") or {})
        config = recipe(about.get("base", content["base"]), {**options, **changes})
        own = needs(about, f" of {where}")
        if "representation" in own and "representation" not in shared:
            raise ConfigError(f"{where} has a 'representation', and the bench has none. Give it one for the others.")
        if "expert" in {**shared, **own}:  # refused here, and not when hours of training are done
            set_option(copy.deepcopy(config), NEEDS["expert"], "")
        asked = _asked(where, about.get("animate") or {})
        other = {key: about[key] for key in ("base", *NEEDS, "animate") if key in about}
        variants.append(Variant(str(name), str(about.get("label", name)), config, {**other, **changes}, own, asked))
    if not variants:
        raise ConfigError("'variants' is empty; there is nothing to compare.")
    labels = [*(variant.label for variant in variants), *CONTROLS, *SPEECH_CONTROLS]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise ConfigError(f"two rows would be called '{min(twice)}'; give every variant a label of its own.")
    evaluation = _mapping("evaluation", content.get("evaluation") or {})
    _known("evaluation", evaluation, tuple(Evaluation.__dataclass_fields__))
    for key, value in evaluation.items():
        _whole(f"evaluation.{key}", value, 0 if key == "seed" else 2)  # cross-reenactment needs two people
    spoken = any(task_of(column) in SPEECH for column in columns)
    if ("representation" in shared) != spoken:
        raise ConfigError(
            "columns of speech and a 'representation' go together: give both (stage 2), or neither (stage 1)."
        )
    if not spoken and set(controls) & set(SPEECH_CONTROLS):
        raise ConfigError(
            f"the controls {', '.join(SPEECH_CONTROLS)} are of speech; without a 'representation' there is none."
        )
    return Plan(
        name=path.stem,
        title=str(content["title"]),
        source=str(content.get("source", "")),
        base=str(content["base"]),
        variants=tuple(variants),
        seeds=_seeds(content.get("seeds", [0])),
        steps=_whole("steps", content["steps"], 1),
        columns=columns,
        controls=controls,
        evaluation=Evaluation(**evaluation),
        needs=shared,
    )


def _asked(where: str, given: Any) -> dict[str, float]:
    """What a model is asked for when it is judged."""
    asked = _mapping(f"animate of {where}", given)
    _known(f"animate of {where}", asked, ASKED)
    for key, value in asked.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConfigError(f"animate.{key} of {where} must be a number, and is {value!r}.")
    return asked


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a mapping of names to values, and is {value!r}.")
    return value


def _known(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"{where} has an unknown key '{key}'; known: {did_you_mean(str(key), known)}.")


def _names(where: str, given: Any, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, list) or (where == "columns" and not given):
        raise ConfigError(f"{where} must be a list of names, and is {given!r}.")
    for name in given:
        if name not in known:
            raise ConfigError(f"{where}: there is no '{name}'; known: {did_you_mean(str(name), known)}.")
    return tuple(dict.fromkeys(given))


def _whole(where: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{where} must be a whole number of at least {least}, and is {value!r}.")
    return value


def _seeds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"seeds must be a list of whole numbers, and is {value!r}.")
    return tuple(dict.fromkeys(_whole("seeds", seed, 0) for seed in value))
