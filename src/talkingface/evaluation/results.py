"""Results: the card and the sums in JSON, one row a clip in Parquet beside it, and the table that both make."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.files import write_text
from talkingface.evaluation.card import card_hash, differences
from talkingface.evaluation.controls import GROUND_TRUTH, REAL, STRANGER
from talkingface.evaluation.rows import read_rows, write_rows
from talkingface.evaluation.run import Outcome
from talkingface.evaluation.scoring import Failure, Row, metric_class
from talkingface.evaluation.tables import Cell, Column, Table, summary_table
from talkingface.metrics.functional.embedding import identity_ceiling, identity_floor

FETCH = re.compile(r"talkingface doctor --fetch [\w-]+")
REASONS = 3  # listed beneath the table, for each system and metric


@dataclass(frozen=True)
class Results:
    """What stands in a result file and its rows.

    Args:
        name: of the evaluated system.
        protocol: the card.
        rows: one for each system and clip.
        failures: what has no value.
        sets: system → metric of sets, such as FID → its report.
        identity: feature → ``ceiling`` and ``floor``: mean similarity of real clips of one and of two persons.
        run: circumstances.
    """

    name: str
    protocol: dict[str, Any]
    rows: list[Row]
    failures: list[Failure]
    sets: dict[str, dict[str, dict[str, Any]]]
    identity: dict[str, dict[str, Any]]
    run: dict[str, Any]

    @classmethod
    def of(cls, outcome: Outcome) -> "Results":
        """What an evaluation found, with what real clips among themselves have to say."""
        people = {str(row["clip"]): str(row["identity"]) for row in outcome.rows}
        identity = {}
        for feature, embeddings in outcome.embeddings.items():
            if not embeddings:  # its network is missing
                continue
            clips = {clip: (people[clip], embedding) for clip, embedding in embeddings.items()}
            pairs = {"ceiling": identity_ceiling(clips), "floor": identity_floor(clips)}
            identity[feature] = {name: asdict(similarity) for name, similarity in pairs.items()}
        name = str(outcome.run["name"])
        return cls(name, outcome.protocol, outcome.rows, outcome.failures, outcome.sets, identity, outcome.run)

    @property
    def hash(self) -> str:
        """Of the card."""
        return card_hash(self.protocol)

    def systems(self) -> list[str]:
        """Rows of the table."""
        return list(dict.fromkeys(str(row["system"]) for row in self.rows))


def write_results(path: Path, results: Results) -> Path:
    """Write a result file and its rows, each whole or not at all.

    Args:
        path: ``.json``; the rows stand beside it as ``.parquet``.
        results: what was found.

    Returns:
        The file of the rows.
    """
    rows = path.with_suffix(".parquet")
    write_rows(rows, results.rows, {"card": results.hash, "protocol": json.dumps(results.protocol)})
    table = results_table([results])
    content = {
        "card": results.hash,
        "name": results.name,
        "protocol": results.protocol,
        "table": {
            system: {key: _plain(asdict(cell)) for key, cell in cells.items()} for system, cells in table.rows.items()
        },
        "notes": list(table.notes),
        "sets": _plain(results.sets),
        "identity": _plain(results.identity),
        "failures": [asdict(failure) for failure in results.failures],
        "rows": rows.name,
        "run": results.run,
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return rows


def read_results(path: Path) -> Results:
    """Read a result file and the rows beside it.

    Args:
        path: as :func:`write_results` wrote it.

    Raises:
        MediaError: a missing file, or one of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        failures = [Failure(**failure) for failure in content["failures"]]
        rows = read_rows(path.with_name(content["rows"]))
        sets, identity, run = content["sets"], content["identity"], content["run"]
        found = Results(content["name"], content["protocol"], rows, failures, sets, identity, run)
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{path} is not a result file of 'talkingface evaluate' ({error!r}).") from error
    if found.hash != content["card"]:
        raise MediaError(
            f"the card in {path} was changed: its hash is {found.hash}, and the file says {content['card']}."
        )
    return found


def results_table(results: Sequence[Results], mix: bool = False) -> Table:
    """Systems and controls by metrics.

    Args:
        results: one evaluation, or several under one card.
        mix: whether to put different cards into one table all the same.

    Raises:
        ConfigError: when the cards differ, with what differs; when two systems have one name.
    """
    first, *others = results
    names = [one.name for one in results]
    if len(set(names)) < len(names):
        raise ConfigError(f"two results have the name '{max(names, key=names.count)}'; give each a --name of its own.")
    found = {one.name: _against(first, one) for one in others}
    unlike = {name: lines for name, lines in found.items() if lines}
    if unlike and not mix:
        text = "; ".join(f"{name}: {', '.join(lines[:4])}" for name, lines in unlike.items())
        raise ConfigError(
            f"these numbers were not measured under one protocol ({first.name} | other; {text}). "
            "Evaluate them alike, or give --mix to see them side by side with both cards."
        )
    rows = [row for one in results for row in one.rows if one is first or row["system"] == one.name]
    controls = [system for system in first.systems() if system != first.name]
    metrics = list(dict.fromkeys(name for one in results for name in one.protocol["metrics"]))
    columns = [_column(name) for name in metrics]
    given = _given(results, metrics, [*names, *controls])
    systems = [*names, *controls]
    if REAL in given:
        systems.append(REAL)
        given[REAL] = dict.fromkeys(metrics, Cell(note="—")) | given[REAL]
    notes = [
        f"card {one.hash}{'' if len(results) == 1 else f' ({one.name})'}" for one in (results if unlike else [first])
    ]
    notes += [f"not one protocol: {name}: {line}" for name, lines in unlike.items() for line in lines]
    notes += _beneath(first)
    title = f"{first.protocol['mode']}, {', '.join(first.protocol['pixels'])}, {first.protocol['data']['clips']} clips"
    return summary_table(
        rows, columns, systems, [*controls, REAL], names, truth=GROUND_TRUTH, given=given, title=title, notes=notes
    )


def _against(first: Results, other: Results) -> list[str]:
    return [] if first.hash == other.hash else differences(first.protocol, other.protocol)


def _column(name: str) -> Column:
    metric = metric_class(name)
    return Column(name, name.upper(), metric.unit, metric.higher_is_better, 2 if metric.unit == "dB" else 3)


def _given(results: Sequence[Results], metrics: list[str], systems: list[str]) -> dict[str, dict[str, Cell]]:
    """Cells that no clip has: of sets of clips, and of what could not be computed, with its reason."""
    given: dict[str, dict[str, Cell]] = {system: {} for system in systems}
    owners = {system: next((one for one in results if one.name == system), results[0]) for system in systems}
    for system, owner in owners.items():
        reports = owner.sets.get(system, {})
        for metric in metrics:
            if metric in reports:
                value = reports[metric].get("value")
                same_set = system == STRANGER and results[0].protocol["mode"] == "self-reenactment"
                given[system][metric] = Cell(note="same set") if same_set else Cell(value)
                if system == owner.name and len(results) == 1 and reports[metric].get("real_vs_real") is not None:
                    given.setdefault(REAL, {})[metric] = Cell(reports[metric]["real_vs_real"])
            elif not any(metric in row and not _nan(row[metric]) for row in owner.rows if row["system"] == system):
                given[system][metric] = Cell(note=_absence(owner, system, metric))
    return given


def _absence(results: Results, system: str, metric: str) -> str:
    """Why a system has no value of a metric at all."""
    reasons = Counter(
        failure.reason
        for failure in results.failures
        if failure.metric in (metric, "") and failure.system in (system, "")
    )
    if not reasons:
        return "—"  # a control that says nothing about this metric
    reason = reasons.most_common(1)[0][0]
    command = FETCH.search(reason)
    return f"n/a (weights: {command[0]})" if command else f"n/a ({reason})"


def _beneath(results: Results) -> list[str]:
    """What a reader must know beside the numbers."""
    notes = []
    for feature, pairs in results.identity.items():
        ceiling, floor = pairs["ceiling"], pairs["floor"]
        texts = [f"{_number(ceiling['mean'])} for two clips of one person ({ceiling['pairs']} pairs)"]
        texts.append(f"{_number(floor['mean'])} for two persons ({floor['pairs']} pairs)")
        notes.append(f"similarity of real clips by {feature}: {', '.join(texts)}")
    for metric, report in results.sets.get(results.name, {}).items():
        counts = ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int))
        notes.append(f"{metric}: {counts}{'; ' + report['warning'] if report.get('warning') else ''}")
    scored = {
        key for row in results.rows if row["system"] == results.name for key, value in row.items() if not _nan(value)
    }
    listed = Counter(
        (failure.metric or "all metrics", failure.reason)
        for failure in results.failures
        if failure.system == results.name and failure.metric in {*scored, ""}  # what has no value at all has a footnote
    )
    for (metric, reason), count in sorted(listed.items())[: REASONS * 4]:
        notes.append(f"{results.name}, {metric}: {count} clip{'s' * (count > 1)} not scored: {reason}")
    lost: Counter[str] = Counter()
    for row in results.rows:
        if row["system"] == results.name:
            lost.update({key: int(value) for key, value in row.items() if key.endswith(".lost") and value})
    notes += [
        f"{results.name}, {key.removesuffix('.lost')}: nothing found in {count} frames" for key, count in lost.items()
    ]
    unequal = sum(
        row.get("frames_pred") != row.get("frames_target") for row in results.rows if row["system"] == results.name
    )
    if unequal and results.protocol["mode"] == "self-reenactment":
        notes.append(f"{unequal} clips of {results.name} are not as long as their target; common frames are scored")
    notes += [f"not scored: {line}" for line in results.run["unpaired"][:REASONS]]
    if len(results.run["unpaired"]) > REASONS:
        notes.append(f"… and {len(results.run['unpaired']) - REASONS} more, see 'unpaired' in the result file")
    return notes


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.3f}"


def _plain(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
