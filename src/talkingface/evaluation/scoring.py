"""Metrics applied to one clip after the other: what each says, what it lost, and why it had nothing to say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkingface import registry
from talkingface.core.errors import ConfigError, ShapeError, UnscorableError, WeightsError
from talkingface.metrics import ClipMetric, Extractor, ScoredClip
from talkingface.weights import find_weights, sha256

Row = dict[str, str | float | int]


@dataclass(frozen=True)
class Failure:
    """Why a metric has no value for a clip.

    Args:
        system: row of the table.
        clip: name of the clip; empty when the metric cannot be computed at all.
        metric: its registry name; empty when the clip as a whole could not be read.
        reason: one line.
    """

    system: str
    clip: str
    metric: str
    reason: str


class Extractors(Mapping[str, Extractor]):
    """The registry's extractors, each built when it is first asked for.

    Args:
        device: where they compute.
        weights: name in the weights manifest → local file.
        given: name → extractor, in place of the registry's.
    """

    def __init__(
        self, device: str, weights: Mapping[str, Path] | None = None, given: Mapping[str, Extractor] | None = None
    ) -> None:
        self.device, self.weights = device, dict(weights or {})
        self.built: dict[str, Extractor] = dict(given or {})

    def __getitem__(self, name: str) -> Extractor:
        if name not in self.built:
            if name not in registry.names("extractor"):
                raise KeyError(name)
            self.built[name] = registry.load("extractor", name)(device=self.device, weights=self.weights)
        return self.built[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*registry.names("extractor"), *self.built})

    def __len__(self) -> int:
        return len(set(self))


def metric_class(name: str) -> type[ClipMetric]:
    """A metric of the registry.

    Raises:
        ConfigError: for an unknown name.
    """
    metric: type[ClipMetric] = registry.load("metric", name)
    return metric


def needed_features(metric: type[ClipMetric]) -> set[str]:
    """Features of clips that a metric needs: ``{"landmarks"}`` of ``("video.landmarks", "audio")``."""
    return {need.partition(".")[2] for need in metric.needs} - {""}


@dataclass
class Scorer:
    """Scores clips and keeps the rows.

    Args:
        names: of metrics, as the registry has them.
        extractors: what finds the features that metrics need.
        systems: rows of the table; a metric of sets of clips, such as FID, is kept for each of them.
        settings: metric → constructor arguments.

    Attributes:
        rows: one for each system and clip.
        failures: what has no value, with its reason.
        metrics: those that could be built.
        sets: system → metric of sets.

    Raises:
        ConfigError: for an unknown metric.
    """

    names: Sequence[str]
    extractors: Extractors
    systems: Sequence[str]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics: dict[str, ClipMetric] = {}
        self.sets: dict[str, dict[str, ClipMetric]] = {system: {} for system in self.systems}
        for name in self.names:
            metric = metric_class(name)
            arguments = dict(self.settings.get(name, {}))
            if metric.networks:
                arguments |= {"device": self.extractors.device, "weights": self.extractors.weights}
            try:
                if hasattr(metric, "report"):  # only a set of clips has it
                    for system in self.systems:
                        self.sets[system][name] = metric(**arguments)
                else:
                    self.metrics[name] = metric(**arguments)
            except WeightsError as error:
                self.failures.append(Failure("", "", name, str(error)))

    def score(self, system: str, clip: ScoredClip, facts: Mapping[str, str | int], only: str | None = None) -> Row:
        """Score one clip.

        Args:
            system: row of the table.
            clip: the prediction beside its references.
            facts: what else the row says, such as its identity.
            only: score only metrics that need this, such as ``"audio"``.

        Returns:
            The row, also kept in :attr:`rows`.
        """
        row: Row = {"system": system, "clip": clip.clip_id, **facts}
        for name, metric in (self.metrics | self.sets[system]).items():
            if only is not None and not any(need.partition(".")[0] == only for need in metric.needs):
                continue
            try:
                score = metric.update_clip(clip)
            except (UnscorableError, WeightsError, ShapeError) as error:
                self.failures.append(Failure(system, clip.clip_id, name, str(error).rstrip(".")))
                if name in self.metrics:
                    row[name] = float("nan")
                continue
            if score is None:
                continue
            row[name], row[f"{name}.lost"] = score.value, score.lost
            if score.value != score.value:
                self.failures.append(Failure(system, clip.clip_id, name, f"nothing found in {score.lost} frames"))
        self.rows.append(row)
        return row

    def unreadable(self, system: str, clip: str, facts: Mapping[str, str | int], reason: str) -> None:
        """Keep a row for a clip that could not be read: every metric of it is NaN, and the reason is listed."""
        self.rows.append({"system": system, "clip": clip, **facts} | dict.fromkeys(self.metrics, float("nan")))
        self.failures.append(Failure(system, clip, "", reason.rstrip(".")))

    def set_reports(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What metrics of sets say of the clips of all processes: system → metric → report."""
        return {
            system: {name: metric.report() for name, metric in metrics.items()}  # type: ignore[operator]
            for system, metrics in self.sets.items()
        }

    def features(self) -> set[str]:
        """Features that the metrics need."""
        return set().union(*(needed_features(metric_class(name)) for name in self.names))

    def networks(self) -> dict[str, Any]:
        """What was looked through, for the protocol card: extractors that were used, and the metrics' own networks."""
        files = {
            name: find_weights(name, self.extractors.weights.get(name))
            for metric in self.metrics.values()
            for name in metric.networks
        }
        own = {name: {"sha256": {name: sha256(path)}} for name, path in files.items()}
        return own | {name: extractor.describe() for name, extractor in self.extractors.built.items()}


def check_metrics(names: Sequence[str]) -> None:
    """Refuse unknown metrics before anything is read.

    Args:
        names: of metrics.

    Raises:
        ConfigError: naming the known ones, the nearest first; for a name that stands twice.
    """
    for name in names:
        registry.describe("metric", name)
    if len(set(names)) < len(names):
        raise ConfigError(f"a metric is named twice: {', '.join(names)}.")
