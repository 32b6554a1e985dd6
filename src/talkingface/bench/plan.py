"""What a bench file asks for: variants of a recipe × seeds, checked in full before anything is trained."""

import copy
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from talkingface.bench.columns import (
    CONTROLS,
    COSTS,
    REENACTMENT,
    SPEECH,
    SPEECH_CONTROLS,
    column_names,
    metric_of,
    task_of,
)
from talkingface.bench.options import Config, set_option
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.evaluation.face_reader import WEIGHTS as FACE_READER
from talkingface.weights import sha256

FORMAT = 1  # of a cell's result; a change reruns every cell
KEYS = (
    "title",
    "source",
    "representation",
    "base",
    "options",
    "variants",
    "seeds",
    "steps",
    "columns",
    "controls",
    "evaluation",
)
SMOKE_DATA = {
    "SyntheticPairs": {
        "identities": 10,
        "clips_per_identity": 1,
        "frames": 4,
        "pairs_per_clip": 8,
        "val_pairs_per_clip": 2,
    },
    "SyntheticClips": {
        "identities": 10,
        "clips_per_identity": 1,
        "clip_frames": 12,
        "frames": 8,
        "windows_per_clip": 2,
        "batch_size": 2,
    },
}


@dataclass(frozen=True)
class Evaluation:
    """How a cell is judged.

    Args:
        people: synthetic identities, none of which any training set holds.
        frames: length of each one's clip, at 25 fps.
        seed: of the clips.
    """

    people: int = 12
    frames: int = 40
    seed: int = 7_000_001  # not among the seeds of the rendered sets

    @property
    def identities(self) -> list[int]:
        """Identity numbers beyond those of every data set, which count from 0."""
        return list(range(1_000_000, 1_000_000 + self.people))


@dataclass(frozen=True)
class Variant:
    """One row of the table: the recipe with some settings changed.

    Args:
        name: short, for files and ``--only``.
        label: for people.
        config: the whole training configuration.
        changes: what sets it apart from the base, key → value.
    """

    name: str
    label: str
    config: Config
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Fit:
    """One training run, and everything that decides the model.

    Args:
        config: the whole training configuration.
        seed, steps: of the run.
        representation: the run of stage 1 whose motion a run of stage 2 learns to make.
    """

    config: Config
    seed: int
    steps: int
    representation: "Fit | None" = None

    @property
    def key(self) -> str:
        """SHA-256 of all of it."""
        training = {"format": FORMAT, "config": self.config, "seed": self.seed, "steps": self.steps}
        return _digest(training | ({"representation": self.representation.key} if self.representation else {}))


@dataclass(frozen=True)
class CellPlan:
    """One variant with one seed, and everything that decides its result."""

    variant: Variant
    fit: Fit
    evaluation: Evaluation
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Of the training run."""
        return self.fit.seed

    @property
    def steps(self) -> int:
        """Of the training run."""
        return self.fit.steps

    @property
    def name(self) -> str:
        """``"lmd-20 seed 1"``."""
        return f"{self.variant.name} seed {self.seed}"

    @property
    def fit_key(self) -> str:
        """SHA-256 of what decides the trained model."""
        return self.fit.key

    @property
    def key(self) -> str:
        """SHA-256 of the training and of how its model is judged."""
        judged: dict[str, Any] = {
            "evaluation": vars(self.evaluation),
            "metrics": sorted(self.metrics),
            "reader": _checksum(FACE_READER),
        }
        if self.tasks != REENACTMENT:
            judged["tasks"] = self.tasks
        return _digest({"fit": self.fit_key, **judged})


@dataclass(frozen=True)
class Plan:
    """A bench file, read and checked.

    Args:
        name: of the file.
        title, source: for the report; the source is a paper's table.
        base: name of the recipe.
        variants: rows, the first of which the others are compared with.
        seeds, steps: of every variant.
        columns: of the table, see :mod:`talkingface.bench.columns`.
        controls: rows below the variants, see :mod:`talkingface.bench.columns`.
        evaluation: how every cell is judged.
        representation: stage 1, trained once and shared by all variants, of a bench of stage 2.
        smoke: whether this is a trial run whose numbers mean nothing.
    """

    name: str
    title: str
    source: str
    base: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    steps: int
    columns: tuple[str, ...]
    controls: tuple[str, ...]
    evaluation: Evaluation
    representation: Fit | None = None
    smoke: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the models are judged at: speech where they speak, and reenactment where they do not."""
        if self.representation is None:
            return REENACTMENT
        return tuple(task for task in SPEECH if task in map(task_of, self.columns))

    def cells(self, only: Sequence[str] = ()) -> list[CellPlan]:
        """Every variant with every seed, seed by seed, so that a stopped bench has something of every variant.

        Args:
            only: names of the variants wanted; all when empty.

        Raises:
            ConfigError: for a variant that is not in the file.
        """
        names = [variant.name for variant in self.variants]
        for name in only:
            if name not in names:
                raise ConfigError(f"{self.name} has no variant '{name}'; known: {did_you_mean(name, names)}.")
        metrics = tuple(sorted({metric_of(column) for column in self.columns} - set(COSTS)))
        return [
            CellPlan(
                variant,
                Fit(variant.config, seed, self.steps, self.representation),
                self.evaluation,
                metrics,
                self.tasks,
            )
            for seed in self.seeds
            for variant in self.variants
            if not only or variant.name in only
        ]

    def at_smoke_scale(self) -> "Plan":
        """The same plan with one seed, next to no training and tiny clips; only the numbers lose their meaning."""
        variants = tuple(replace(variant, config=_smoke(variant.config)) for variant in self.variants)
        first = self.representation
        return replace(
            self,
            title=f"SMOKE — {self.title}",
            variants=variants,
            seeds=self.seeds[:1],
            steps=4,
            evaluation=replace(self.evaluation, people=2, frames=4),
            representation=first and replace(first, config=_smoke(first.config), steps=4),
            smoke=True,
        )


def read_plan(path: Path, find_recipe: Callable[[str], Path], written_out: Callable[[Config], Config]) -> Plan:
    """Read and check a bench file.

    Args:
        path: YAML with the keys ``title``, ``source``, ``base``, ``options``, ``variants`` (name → ``label`` and
            ``overrides``), ``seeds``, ``steps``, ``columns``, ``controls``, ``evaluation`` and, for stage 2,
            ``representation`` (``base``, ``options``, ``steps`` and ``seed`` of the stage 1 that all variants share).
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

    options = _mapping("options", content.get("options") or {})
    variants = []
    for name, about in _mapping("variants", content["variants"]).items():
        where = f"variant '{name}'"
        _known(where, _mapping(where, about), ("label", "overrides"))
        changes = _mapping(f"overrides of {where}", about.get("overrides") or {})
        config = recipe(content["base"], {**options, **changes})
        variants.append(Variant(str(name), str(about.get("label", name)), config, changes))
    if not variants:
        raise ConfigError("'variants' is empty; there is nothing to compare.")
    labels = [*(variant.label for variant in variants), *CONTROLS, *SPEECH_CONTROLS]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise ConfigError(f"two rows would be called '{min(twice)}'; give every variant a label of its own.")
    evaluation = _mapping("evaluation", content.get("evaluation") or {})
    _known("evaluation", evaluation, tuple(Evaluation.__dataclass_fields__))
    for key, value in evaluation.items():
        _whole(f"evaluation.{key}", value, 0 if key == "seed" else 2)  # cross-reenactment needs two people
    first = _mapping("representation", content.get("representation") or {})
    _known("representation", first, ("base", "options", "steps", "seed"))
    if bool(first) != any(task_of(column) in SPEECH for column in columns):
        raise ConfigError(
            "columns of speech and a 'representation' go together: give both (stage 2), or neither (stage 1)."
        )
    if not first and set(controls) & set(SPEECH_CONTROLS):
        raise ConfigError(
            f"the controls {', '.join(SPEECH_CONTROLS)} are of speech; without a 'representation' there is none."
        )
    representation = None
    if first:
        config = recipe(first.get("base"), _mapping("representation.options", first.get("options") or {}))
        steps = _whole("representation.steps", first.get("steps"), 1)
        representation = Fit(config, _whole("representation.seed", first.get("seed", 0), 0), steps)
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
        representation=representation,
    )


@functools.cache
def _checksum(path: Path) -> str:
    return sha256(path)


def _smoke(config: Config) -> Config:
    config = copy.deepcopy(config)
    data = config.get("data", {})
    small = SMOKE_DATA.get(str(data.get("class_path", "")).rpartition(".")[2])
    if small:
        data.setdefault("init_args", {}).update(small)
    return config


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


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
