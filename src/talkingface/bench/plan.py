"""What a bench runs: variants of a recipe × seeds, each known by everything that decides its result."""

import copy
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from talkingface.bench.columns import (
    COSTS,
    REENACTMENT,
    SPEECH,
    metric_of,
    task_of,
)
from talkingface.bench.options import Config
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.evaluation.face_reader import WEIGHTS as FACE_READER
from talkingface.weights import sha256

FORMAT = 1  # of a cell's result; a change reruns every cell
# what is trained before a model → the setting that its folder fills
NEEDS = {"representation": "model.representation", "expert": "model.sync.expert"}
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
    "SyntheticEdits": {
        "identities": 10,
        "clips_per_identity": 1,
        "clip_frames": 24,
        "windows_per_clip": 2,
        "val_windows_per_clip": 1,
        "batch_size": 2,
    },
    "SyntheticSync": {
        "identities": 10,
        "clips_per_identity": 1,
        "clip_frames": 40,
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
        needs: what is trained before it and is not shared with the bench; keys of :data:`NEEDS`.
        animate: what its model is asked for when it is judged, such as ``{"mouth": 0.5}``; variants that differ in
            nothing else share one trained model.
    """

    name: str
    label: str
    config: Config
    changes: Mapping[str, Any]
    needs: Mapping[str, "Fit"] = field(default_factory=dict)
    animate: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """One training run, and everything that decides the model.

    Args:
        config: the whole training configuration.
        seed, steps: of the run.
        needs: what is trained before it: the stage 1 whose motion a run of stage 2 learns to make, the expert that an
            editor is taught by; keys of :data:`NEEDS`.
    """

    config: Config
    seed: int
    steps: int
    needs: Mapping[str, "Fit"] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of all of it."""
        training = {"format": FORMAT, "config": self.config, "seed": self.seed, "steps": self.steps}
        return _digest(training | {name: fit.key for name, fit in self.needs.items()})

    def chain(self) -> Iterator["Fit"]:
        """The run and all that is trained before it."""
        yield self
        for fit in self.needs.values():
            yield from fit.chain()


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
        if self.variant.animate:
            judged["animate"] = dict(self.variant.animate)
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
        needs: what is trained once, before the variants, and shared by those that have none of their own: stage 1 of a
            bench of stage 2, and the expert of editors.
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
    needs: Mapping[str, Fit] = field(default_factory=dict)
    smoke: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the models are judged at: speech where they speak, and reenactment where they do not."""
        if not self.needs:
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
                Fit(variant.config, seed, self.steps, {**self.needs, **variant.needs}),
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

        def small(needs: Mapping[str, Fit]) -> dict[str, Fit]:
            return {name: replace(fit, config=_smoke(fit.config), steps=4) for name, fit in needs.items()}

        variants = tuple(
            replace(variant, config=_smoke(variant.config), needs=small(variant.needs)) for variant in self.variants
        )
        return replace(
            self,
            title=f"SMOKE — {self.title}",
            variants=variants,
            seeds=self.seeds[:1],
            steps=4,
            evaluation=replace(self.evaluation, people=2, frames=4),
            needs=small(self.needs),
            smoke=True,
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
