"""From finished cells to tables, a page and files; written anew after every cell."""

import json
import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from talkingface.bench import bench_page
from talkingface.bench.plan import COSTS, CROSS_ONLY, LEAKAGE, Plan
from talkingface.bench.runner import CellState
from talkingface.core.files import write_text
from talkingface.evaluation.rows import write_rows
from talkingface.evaluation.scoring import metric_class
from talkingface.evaluation.statistics import Difference, corrected, estimate, paired_differences
from talkingface.evaluation.tables import Cell, Column, Table, seed_table

MODEL = "model"
COST_COLUMNS = {
    "parameters": Column("parameters", "parameters", "million", None, 2),
    "minutes": Column("minutes", "training", "min", None, 1),
    "peak_gb": Column("peak_gb", "memory", "GiB", None, 2),
}
TRUTH_COLUMNS = {
    "pose-error": ("pose error", "°", False, 2),
    "expression-rmse": ("expression RMSE", "", False, 3),
    "landmark-error": ("landmark error", "px of 64", False, 2),
    "expression-leakage": ("expression leakage", "", False, 3),
    "expression-transfer": ("expression transfer", "", True, 3),
}

Row = dict[str, Any]


def write_report(plan: Plan, states: Sequence[CellState], out: Path) -> dict[str, Any]:
    """Write ``table.{csv,md,tex}``, ``index.html``, ``results.json`` and ``rows.parquet``.

    Args:
        plan: what was asked for.
        states: of all its cells, in any stage.
        out: folder.

    Returns:
        What ``results.json`` holds.
    """
    table = main_table(plan, states)
    intervals, differences = interval_table(plan, states), difference_table(plan, states)
    tables = [table, *(extra for extra in (intervals, differences) if extra is not None)]
    write_text(out / "table.csv", table.csv())
    write_text(out / "table.md", "\n".join(one.markdown() for one in tables))
    write_text(out / "table.tex", "\n".join(one.latex() for one in tables))
    rows = all_rows(states)
    if rows:
        write_rows(out / "rows.parquet", rows)
    results = _results(plan, states, tables)
    write_text(out / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(out / "index.html", bench_page.html_page(plan, states, tables, out))
    return results


def main_table(plan: Plan, states: Sequence[CellState]) -> Table:
    """Mean and standard deviation over seeds, with the controls below.

    Args:
        plan: what was asked for.
        states: of all its cells.
    """
    columns = [column_of(name) for name in plan.columns]
    results: dict[str, list[dict[str, float]]] = {}
    failures: dict[str, str] = {}
    for variant in plan.variants:
        own = [state for state in states if state.cell.variant.name == variant.name]
        results[variant.label] = [values(state, plan, MODEL) for state in own if state.result or state.failed]
        failed = [f"seed {state.cell.seed} failed, see {state.log}" for state in own if state.failed]
        if failed:
            failures[variant.label] = "; ".join(failed)
    done = [state for state in states if state.result]
    controls = {name: _control(name, plan, done) for name in plan.controls if done}
    notes = [*_beaten(plan, done), *_notes(plan, states)]
    table = seed_table(
        results | controls,
        columns,
        title=plan.title,
        controls=frozenset(controls),
        failures=failures,
        notes=notes,
    )
    return _with_reasons(table, done, failures)


def interval_table(plan: Plan, states: Sequence[CellState]) -> Table | None:
    """Means over people with their interval, all seeds together; ``None`` before the first cell.

    Args:
        plan: what was asked for.
        states: of all its cells.
    """
    names = _clip_columns(plan, states)
    rows = {}
    for variant in plan.variants:
        own = _pooled(states, variant.name)
        if own and names:
            found = {name: estimate(_of_task(own, name), metric_of(name), variant.name) for name in names}
            rows[variant.label] = {name: Cell(one.mean, (one.low, one.high)) for name, one in found.items()}
    if not rows:
        return None
    notes = (
        f"mean and 95 % interval over {plan.evaluation.people} people, who are drawn anew as wholes, every seed's "
        "clips together. The interval is about people, for these trained models; how much seeds differ is the ± above.",
    )
    title = f"{plan.title}: intervals over people"
    return Table(title, tuple(column_of(name) for name in names), rows, frozenset(), notes)


def difference_table(plan: Plan, states: Sequence[CellState]) -> Table | None:
    """Every variant minus the first, clip by clip; ``None`` before two variants have a cell.

    Args:
        plan: what was asked for.
        states: of all its cells.
    """
    first, *others = plan.variants
    names, found = _clip_columns(plan, states), differences(plan, states)
    if not found:
        return None
    labels = {variant.name: variant.label for variant in others}
    rows: dict[str, dict[str, Cell]] = {}
    for name, one in zip((name for name in names for _ in range(len(found) // len(names))), found, strict=True):
        cell = Cell(one.mean, (one.low, one.high), f"p {one.p_holm:.3f}")
        rows.setdefault(f"{labels[one.system]} − {first.label}", {})[name] = cell
    columns = tuple(replace(column_of(name), higher_is_better=None) for name in names)
    notes = (
        "paired over the same clips and seeds, mean with 95 % interval over people; p of the sign-flip test over "
        f"people, after Holm's correction for all {len(found)} comparisons of this table. As above, it is about "
        "people: it does not say that other seeds would differ in the same way.",
    )
    return Table(f"{plan.title}: differences from {first.label}", columns, rows, frozenset(), notes)


def differences(plan: Plan, states: Sequence[CellState]) -> list[Difference]:
    """Column by column, every variant against the first, corrected over all of them.

    Args:
        plan: what was asked for.
        states: of all its cells.
    """
    first, *others = plan.variants
    done = {state.cell.variant.name for state in states if state.result}
    present = [variant.name for variant in others if variant.name in done]
    if first.name not in done or not present:
        return []
    rows = [row for name in (first.name, *present) for row in _pooled(states, name)]
    found = [
        difference
        for name in _clip_columns(plan, states)
        for other in present
        for difference in paired_differences(_of_task(rows, name), metric_of(name), other, [first.name])
    ]
    return corrected(found)


def values(state: CellState, plan: Plan, system: str) -> dict[str, float]:
    """Every column of a finished cell for one of its systems; NaN where it has none, nothing for a failed cell.

    Args:
        state: of the cell.
        plan: names the columns.
        system: ``"model"`` or a control.
    """
    result = state.result
    return {name: _value(result, name, system) for name in plan.columns} if result else {}


def column_of(name: str) -> Column:
    """Title, unit and direction of a column.

    Args:
        name: as in a bench file.
    """
    if name in COST_COLUMNS:
        return COST_COLUMNS[name]
    if name == LEAKAGE:
        return Column(name, "identity leakage", "", False, 3)
    metric, prefix = metric_of(name), "" if task_of(name) == "self" else "cross "
    if metric in TRUTH_COLUMNS:
        title, unit, higher, digits = TRUTH_COLUMNS[metric]
        return Column(name, title if metric in CROSS_ONLY else prefix + title, unit, higher, digits)
    kind = metric_class(metric)
    return Column(name, prefix + metric.upper(), kind.unit, kind.higher_is_better, 2 if kind.unit else 3)


def metric_of(column: str) -> str:
    """``"psnr"`` of ``"cross/psnr"``."""
    return column.removeprefix("cross/")


def task_of(column: str) -> str:
    """``"self"`` or ``"cross"``."""
    return "cross" if column.startswith("cross/") or column in CROSS_ONLY else "self"


def all_rows(states: Sequence[CellState]) -> list[Row]:
    """Every clip's row of every finished cell.

    Args:
        states: of the cells.
    """
    return [
        {"variant": state.cell.variant.name, "seed": state.cell.seed, **row}
        for state in states
        if state.result
        for row in state.result["rows"]
    ]


def _value(result: Mapping[str, Any], name: str, system: str) -> float:
    if name in COSTS or name == LEAKAGE:
        if system != MODEL:
            return math.nan
        costs = {
            "parameters": result["parameters"] / 1e6,
            "minutes": result["seconds"]["train"] / 60,
            "peak_gb": max(result["peak_gb"].values()),
            LEAKAGE: result["leakage"].get("accuracy", math.nan),
        }
        return float(costs[name])
    metric, task = metric_of(name), task_of(name)
    report = result["sets"].get(f"{task}/{system}", {}).get(metric)
    if report is not None:
        return math.nan if report.get("value") is None else float(report["value"])
    rows = [row for row in result["rows"] if row["task"] == task]
    if metric in result["missing"] or not any(metric in row for row in rows):
        return math.nan
    return estimate(rows, metric, system, resamples=1).mean


def _control(name: str, plan: Plan, done: Sequence[CellState]) -> list[dict[str, float]]:
    """Values of a control: copies and the truth are the same for every variant and seed, shuffling is not."""
    if name != "shuffled":
        return [values(done[0], plan, name)]
    found: dict[int, list[dict[str, float]]] = {}
    for state in done:
        found.setdefault(state.cell.seed, []).append(values(state, plan, name))
    return [
        {column: statistics.fmean(one[column] for one in ones) for column in plan.columns} for ones in found.values()
    ]


def _beaten(plan: Plan, done: Sequence[CellState]) -> Iterator[str]:
    """Says where a control is as good as a variant."""
    for variant in plan.variants:
        own = [state for state in done if state.cell.variant.name == variant.name]
        for control in plan.controls:
            if control == "ground truth" or not own:
                continue
            worse = []
            for column in map(column_of, plan.columns):
                ours, theirs = (
                    statistics.fmean(values(state, plan, system)[column.key] for state in own)
                    for system in (MODEL, control)
                )
                better = theirs >= ours if column.higher_is_better else theirs <= ours
                if column.higher_is_better is not None and better:
                    worse.append(f"{column.title} ({column.text(theirs)} against {column.text(ours)})")
            if worse:
                yield f"{variant.label} is not better than its control '{control}' in {', '.join(worse)}"


def _notes(plan: Plan, states: Sequence[CellState]) -> Iterator[str]:
    judged = plan.evaluation
    if plan.smoke:
        yield "SMOKE: next to no training and tiny clips; this shows that everything runs, the numbers mean nothing"
    yield (
        f"each cell: {plan.base}, {plan.steps} steps, judged on {judged.people} synthetic people of {judged.frames} "
        "frames each whom no model was trained on, frames in memory; a seed decides the initial weights, the training "
        "pairs are the same for all"
    )
    if "shuffled" in plan.controls:
        yield "shuffled: the same models driven by another person's frames in shuffled order, mean over variants"
    leakage = [state.result["leakage"] for state in states if state.result and state.result["leakage"]]
    if leakage:
        chance = leakage[0]["chance"]
        yield f"identity leakage: accuracy of a linear probe from motion to identity; guessing gives {chance:.3f}"
    waiting = sum(not state.result and not state.failed for state in states)
    if waiting:
        yield f"unfinished: {waiting} of {len(states)} cells have not been run"
    done = [state.result for state in states if state.result]
    commits = sorted({str(commit) for result in done for commit in result["git"].values()})
    if len(commits) > 1:
        yield f"cells come from different commits of the code: {', '.join(commits)} (+: with uncommitted changes)"
    if plan.source:
        yield f"after {plan.source}"


def _with_reasons(table: Table, done: Sequence[CellState], failed: Collection[str]) -> Table:
    """Say why a metric has no number, where the cell did not fail: no weights, or clips lack what it needs."""
    reasons: dict[str, str] = {}
    for result in (state.result for state in done if state.result):
        reasons |= {failure["metric"]: failure["reason"] for failure in result["failures"]}
        for metric, names in result["missing"].items():
            reasons[metric] = f"weights: {'; '.join(f'talkingface doctor --fetch {name}' for name in names)}"
    rows = {name: dict(cells) for name, cells in table.rows.items()}
    for column in table.columns:
        reason = reasons.get(metric_of(column.key))
        for name, cells in rows.items():
            if reason and name not in failed and cells[column.key].number is None:
                cells[column.key] = Cell(note=f"n/a ({reason})")
    return replace(table, rows=rows)


def _clip_columns(plan: Plan, states: Sequence[CellState]) -> list[str]:
    """Columns that have a value for every clip."""
    rows = all_rows(states)
    present = {(row["task"], key) for row in rows for key in row}
    return [name for name in plan.columns if (task_of(name), metric_of(name)) in present]


def _pooled(states: Sequence[CellState], variant: str) -> list[Row]:
    """The model's rows of all seeds, as rows of a system named like the variant."""
    return [
        row | {"system": variant, "clip": f"{row['clip']}, seed {state.cell.seed}"}
        for state in states
        if state.result and state.cell.variant.name == variant
        for row in state.result["rows"]
        if row["system"] == MODEL
    ]


def _of_task(rows: Sequence[Row], column: str) -> list[Row]:
    return [row for row in rows if row["task"] == task_of(column)]


def _results(plan: Plan, states: Sequence[CellState], tables: Sequence[Table]) -> dict[str, Any]:
    cells = []
    for state in states:
        result = state.result or {}
        cells.append(
            {
                "name": state.cell.name,
                "variant": state.cell.variant.name,
                "seed": state.cell.seed,
                "key": state.cell.key,
                "state": "done" if state.result else "failed" if state.failed else "waiting",
                "log": str(state.log),
                "values": {system: values(state, plan, system) for system in (MODEL, *plan.controls)} if result else {},
                **{name: result.get(name) for name in ("seconds", "peak_gb", "versions", "git", "leakage", "missing")},
                "conventions": result.get("conventions"),
            }
        )
    about = {name: getattr(plan, name) for name in ("name", "title", "source", "base", "smoke", "seeds", "steps")}
    content = {
        **about,
        "evaluation": asdict(plan.evaluation),
        "variants": {variant.name: {"label": variant.label, "overrides": variant.changes} for variant in plan.variants},
        "cells": cells,
        "tables": [{"title": table.title, "notes": table.notes, "rows": _plain_rows(table)} for table in tables],
        "differences": [asdict(difference) for difference in differences(plan, states)],
    }
    found: dict[str, Any] = _finite(content)
    return found


def _plain_rows(table: Table) -> dict[str, dict[str, Any]]:
    return {name: {key: asdict(cell) for key, cell in cells.items()} for name, cells in table.rows.items()}


def _finite(value: Any) -> Any:
    """JSON has no NaN: ``None`` stands for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
