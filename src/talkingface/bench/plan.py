"""What a bench runs: variants of a recipe × seeds, each known by everything that decides its result."""

import copy
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
        representation: its own stage 1, where it does not share that of the bench.
    """

    name: str
    label: str
    config: Config
    changes: Mapping[str, Any]
    representation: "Fit | None" = None


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
        representation: stage 1, trained once and shared by the variants that have none of their own, of a bench of
            stage 2.
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
                Fit(variant.config, seed, self.steps, variant.representation or self.representation),
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

        def small(first: Fit | None) -> Fit | None:
            return first and replace(first, config=_smoke(first.config), steps=4)

        variants = tuple(
            replace(variant, config=_smoke(variant.config), representation=small(variant.representation))
            for variant in self.variants
        )
        return replace(
            self,
            title=f"SMOKE — {self.title}",
            variants=variants,
            seeds=self.seeds[:1],
            steps=4,
            evaluation=replace(self.evaluation, people=2, frames=4),
            representation=small(self.representation),
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
