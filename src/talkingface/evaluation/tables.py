"""What goes into the tables: systems beside their controls, and variants over their seeds."""

import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence

from talkingface.evaluation.statistics import Difference, Estimate, Row, corrected, estimate, paired_differences
from talkingface.evaluation.table_model import Cell, Column, Table

__all__ = ["Cell", "Column", "Table", "seed_table", "summary_table"]

FEW_IDENTITIES = 10  # below, a percentile interval covers the truth in clearly fewer cases than it says
FLAG = "!"


def summary_table(
    rows: Sequence[Row],
    columns: Sequence[Column],
    systems: Sequence[str],
    controls: Collection[str],
    method: str | Sequence[str],
    *,
    truth: str = "ground truth",
    given: Mapping[str, Mapping[str, Cell]] | None = None,
    title: str = "",
    notes: Sequence[str] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> Table:
    """Systems by metrics with clustered intervals, and a note wherever a control beats a method.

    Args:
        rows: scores of clips (see :mod:`talkingface.evaluation.statistics`).
        columns: metrics; a key that no row has must be in ``given`` for every system.
        systems: rows of the table, in order.
        controls: those that no method should lose to: frozen picture, shuffled audio, shifted frames …
        method: the systems that are judged against the controls.
        truth: the real clips, which may beat everything; never bold.
        given: system → metric → cell, for what no single clip has (FID) or what could not be computed ("n/a (…)").
        title, notes: of the table; notes found here come first.
        resamples, seed: of the intervals and tests.

    Raises:
        ConfigError: for a system or metric that no row has.
    """
    given = given or {}
    methods = [method] if isinstance(method, str) else list(method)
    estimates = {
        (name, column.key): estimate(rows, column.key, name, resamples=resamples, seed=seed)
        for name in systems
        for column in columns
        if column.key not in given.get(name, {})
    }
    cells: dict[str, dict[str, Cell]] = {
        name: {
            column.key: given.get(name, {}).get(column.key) or _cell(estimates[name, column.key]) for column in columns
        }
        for name in systems
    }
    judged = [name for name in systems if name in controls and name != truth]
    lost = [
        (name, control, column)
        for name in methods
        for control in judged
        for column in columns
        if _beats(cells[control][column.key], cells[name][column.key], column)
    ]
    tested = _tests(rows, columns, methods, judged, estimates, seed)
    for name, _, column in lost:
        cell = cells[name][column.key]
        cells[name][column.key] = Cell(cell.value, cell.spread, FLAG)
    found = (
        *_counts(rows, systems, methods[0]),
        *_losses(lost, cells, tested),
        *_failures(columns, systems, estimates),
    )
    return Table(title, tuple(columns), cells, frozenset(controls) | {truth}, (*found, *notes))


def seed_table(
    results: Mapping[str, Sequence[Mapping[str, float]]],
    columns: Sequence[Column],
    *,
    title: str = "",
    controls: Collection[str] = (),
    failures: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Mean and standard deviation of every variant over its seeds.

    Args:
        results: variant → one mapping of metrics per seed; an empty one (or NaN) is a seed that failed.
        columns: what is shown.
        title, controls, notes: of the table.
        failures: variant → what is known of its failed seeds, such as the path of a log.

    Returns:
        Mean ± s.d. (``n - 1``); one seed has no spread. Failures are ``—``, and where some seeds are left, their
        number is said, such as ``(2/3)``.
    """
    rows: dict[str, dict[str, Cell]] = {}
    for variant, runs in results.items():
        rows[variant] = {}
        for column in columns:
            values = [run[column.key] for run in runs if not math.isnan(run.get(column.key, math.nan))]
            note = f"({len(values)}/{len(runs)})" if values and len(values) < len(runs) else ""
            spread = statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None
            rows[variant][column.key] = Cell(statistics.fmean(values) if values else None, spread, note)
    seeds = max((len(runs) for runs in results.values()), default=0)
    about = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed: no spread is known"
    failed = [f"{variant}: {text}" for variant, text in (failures or {}).items()]
    return Table(title, tuple(columns), rows, frozenset(controls), (about, *failed, *notes))


def _cell(found: Estimate) -> Cell:
    if math.isnan(found.mean):
        return Cell(note=f"n/a (none of {found.failed} clips could be scored)")
    return Cell(found.mean, None if math.isnan(found.low) else (found.low, found.high))


def _beats(control: Cell, method: Cell, column: Column) -> bool:
    if column.higher_is_better is None or control.number is None or method.number is None:
        return False
    return control.number > method.number if column.higher_is_better else control.number < method.number


def _tests(
    rows: Sequence[Row],
    columns: Sequence[Column],
    methods: Sequence[str],
    controls: Sequence[str],
    estimates: Mapping[tuple[str, str], Estimate],
    seed: int,
) -> dict[tuple[str, str, str], Difference]:
    """Paired differences of every method and control on every metric with a direction, corrected over all of them."""
    found: list[Difference] = []
    for name in methods:
        for column in columns:
            others = [other for other in controls if (other, column.key) in estimates]
            if column.higher_is_better is not None and (name, column.key) in estimates:
                found += paired_differences(rows, column.key, name, others, resamples=0, seed=seed)
    return {(test.system, test.other, test.metric): test for test in corrected(found)}


def _counts(rows: Sequence[Row], systems: Sequence[str], method: str) -> Iterator[str]:
    """How much was scored, and what the intervals are worth."""
    clips = {name: sum(row["system"] == name for row in rows) for name in systems}
    identities = len({row["identity"] for row in rows if row["system"] == method})
    others = "".join(f"; {name}: {count}" for name, count in clips.items() if count not in (0, clips[method]))
    yield f"{clips[method]} clips of {_people(identities)}{others}; mean over clips, then over identities"
    if identities < 2:
        yield "intervals need more than one identity"
    else:
        narrow = "; with so few identities they are too narrow" if identities < FEW_IDENTITIES else ""
        yield f"intervals: 95 % bootstrap over identities{narrow}"


def _people(count: int) -> str:
    return "1 identity" if count == 1 else f"{count} identities"


def _losses(
    lost: Sequence[tuple[str, str, Column]],
    cells: Mapping[str, Mapping[str, Cell]],
    tested: Mapping[tuple[str, str, str], Difference],
) -> Iterator[str]:
    """One line for every method and control that beats it."""
    for name, control in dict.fromkeys((name, control) for name, control, _ in lost):
        parts = []
        for column in [column for *pair, column in lost if pair == [name, control]]:
            values = [column.text(cells[which][column.key].number or 0.0) for which in (control, name)]
            test = tested.get((name, control, column.key))
            p = "" if test is None or math.isnan(test.p_holm) else f", p = {test.p_holm:.2g}"
            parts.append(f"{column.title} ({' against '.join(values)}{p})")
        yield f"{FLAG} {control} beats {name} on {', '.join(parts)}"
    if lost and tested:
        fewest = min(test.identities for test in tested.values())
        least = f"; none below {2 / 2**fewest:.2g} is possible with {_people(fewest)}" if 0 < fewest < 6 else ""
        yield f"p: paired sign-flip test over identities, Holm's correction over {len(tested)} comparisons{least}"


def _failures(
    columns: Sequence[Column], systems: Sequence[str], estimates: Mapping[tuple[str, str], Estimate]
) -> Iterator[str]:
    """Clips that no mean contains."""
    for column in columns:
        found = {name: estimates[name, column.key] for name in systems if (name, column.key) in estimates}
        parts = [f"{name} {one.failed} of {one.failed + one.clips}" for name, one in found.items() if one.failed]
        if parts:
            yield f"{column.title}: clips that could not be scored and are in no mean: {', '.join(parts)}"
