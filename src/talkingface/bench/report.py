"""From finished cells to tables, a page and files; written anew after every cell."""

import json
import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from talkingface.bench import bench_page
from talkingface.bench.columns import SPEECH, SPEED, metric_of
from talkingface.bench.plan import Plan
from talkingface.bench.protocol import protocol_notes
from talkingface.bench.runner import CellState
from talkingface.bench.values import (
    MODEL,
    all_rows,
    clip_columns,
    column_of,
    of_task,
    pooled_rows,
    values,
)
from talkingface.core.files import write_text
from talkingface.evaluation.rows import write_rows
from talkingface.evaluation.statistics import Difference, corrected, estimate, paired_differences
from talkingface.evaluation.tables import Cell, Column, Table, seed_table


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
    further = (interval_table(plan, states), difference_table(plan, states))
    tables = [table, *(one for one in further if one is not None)]
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
    names = clip_columns(plan, states)
    rows = {}
    for variant in plan.variants:
        own = pooled_rows(states, variant.name)
        if own and names:
            judged = {name: some for name in names if (some := of_task(own, name))}
            found = {name: estimate(some, metric_of(name), variant.name) for name, some in judged.items()}
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
    found = differences(plan, states)
    if not found:
        return None
    rows: dict[str, dict[str, Cell]] = {}
    for variant in others:
        own = {column: one for (column, name), one in found.items() if name == variant.name}
        cells = {column: Cell(one.mean, (one.low, one.high), f"p {one.p_holm:.3f}") for column, one in own.items()}
        if cells:
            rows[f"{variant.label} − {first.label}"] = cells
    columns = tuple(replace(column_of(name), higher_is_better=None) for name in clip_columns(plan, states))
    notes = (
        "paired over the same clips and seeds, mean with 95 % interval over people; p of the sign-flip test over "
        f"people, after Holm's correction for all {len(found)} comparisons of this table. As above, it is about "
        "people: it does not say that other seeds would differ in the same way.",
    )
    return Table(f"{plan.title}: differences from {first.label}", columns, rows, frozenset(), notes)


def differences(plan: Plan, states: Sequence[CellState]) -> dict[tuple[str, str], Difference]:
    """Every variant against the first in every column: (column, variant) → difference, corrected over all of them.

    Args:
        plan: what was asked for.
        states: of all its cells.
    """
    first, *others = plan.variants
    rows = {variant.name: pooled_rows(states, variant.name) for variant in plan.variants}
    if not rows[first.name]:
        return {}
    found = {}
    for column in clip_columns(plan, states):
        ours = of_task(rows[first.name], column)
        for other in (variant.name for variant in others):
            if ours and (theirs := of_task(rows[other], column)):  # not every variant can be told pose or place
                found[column, other] = paired_differences([*theirs, *ours], metric_of(column), other, [first.name])[0]
    return dict(zip(found, corrected(list(found.values())), strict=True))


def _control(name: str, plan: Plan, done: Sequence[CellState]) -> list[dict[str, float]]:
    """Values of a control: all but shuffling is the same for every seed, and for variants that share a stage 1."""
    if name != "shuffled":
        first = {_stage1_key(state): state for state in reversed(done)}
        return [_mean([values(state, plan, name) for state in first.values()])]
    found: dict[int, list[dict[str, float]]] = {}
    for state in done:
        found.setdefault(state.cell.seed, []).append(values(state, plan, name))
    return [_mean(ones) for ones in found.values()]


def _stage1_key(state: CellState) -> str:
    stage1 = state.cell.fit.needs.get("representation")
    return stage1.key if stage1 else ""


def _beaten(plan: Plan, done: Sequence[CellState]) -> Iterator[str]:
    """Says where a control is as good as a variant."""
    columns = [column for column in map(column_of, plan.columns) if column.higher_is_better is not None]
    for variant in plan.variants:
        own = [state for state in done if state.cell.variant.name == variant.name]
        for control in plan.controls:
            if control in ("ground truth", "true motion") or not own:
                continue
            ours, theirs = (_mean([values(state, plan, system) for state in own]) for system in (MODEL, control))
            texts = [
                f"{column.title} ({column.text(theirs[column.key])} against {column.text(ours[column.key])})"
                for column in columns
                if _as_good(theirs[column.key], ours[column.key], column)
            ]
            if texts:
                yield f"{variant.label} is not better than its control '{control}' in {', '.join(texts)}"


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of those runs that have a value: not every variant can be told pose or place."""
    known = {column: [run[column] for run in runs if not math.isnan(run[column])] for column in runs[0]}
    return {column: statistics.fmean(found) if found else math.nan for column, found in known.items()}


def _as_good(one: float, other: float, column: Column) -> bool:
    return one >= other if column.higher_is_better else one <= other


def _notes(plan: Plan, states: Sequence[CellState]) -> Iterator[str]:
    judged = plan.evaluation
    own = [variant for variant in plan.variants if "representation" in variant.needs]
    if plan.smoke:
        yield "SMOKE: next to no training and tiny clips; this shows that everything runs, the numbers mean nothing"
    yield (
        f"each cell: {plan.base}, {plan.steps} steps, judged on {judged.people} synthetic people of {judged.frames} "
        "frames each whom no model was trained on, frames in memory; a seed decides the initial weights, the training "
        "pairs are the same for all"
    )
    if "shuffled" in plan.controls:
        spoken = set(plan.tasks) & set(SPEECH)
        other = "another person's speech" if spoken else "another person's frames in shuffled order"
        yield f"shuffled: the same models driven by {other}, mean over variants"
    if "true motion" in plan.controls:
        yield "true motion: the portrait moved by the true frames, the best that this representation can show"
        if own:
            yield "true motion is the mean over the representations, each of which is in results.json"
    if "told" in plan.tasks:
        yield "told: the true pose, place and size are given, as far as a variant can be told them"
    if "dubbed" in plan.tasks:
        yield (
            "dubbed: there is a video of the person with the mouth of another speech; copy the source is that video as "
            "it is. Who edits keeps its motion, the others move its first frame and are told pose, place and size, as "
            "far as they can be"
        )
    if first := plan.needs.get("representation"):
        sharing = "all other variants" if own else "all variants"
        yield f"{sharing} share one stage 1 of {first.steps} steps, seed {first.seed}"
    for variant in own:
        first = variant.needs["representation"]
        base = variant.changes.get("base", plan.base)
        yield f"{variant.label}: {base}, with a stage 1 of {first.steps} steps, seed {first.seed}"
    experts = [needs["expert"] for needs in (plan.needs, *(v.needs for v in plan.variants)) if "expert" in needs]
    for expert in {expert.key: expert for expert in experts}.values():
        yield f"editors are taught by an expert of {expert.steps} steps, seed {expert.seed}; it judges nothing here"
    if set(plan.columns) & set(SPEED):
        yield (
            "speed: one thread, measured when the cell was judged, whatever else the machine did: noisy. Compare "
            "large ratios only, and only of one run with one job"
        )
    yield from protocol_notes(states)
    leakage = [state.result["leakage"] for state in states if state.result and state.result["leakage"]]
    if leakage:
        chance = leakage[0]["chance"]
        yield f"identity leakage: accuracy of a linear probe from motion to identity; guessing gives {chance:.3f}"
    if any(state.result and state.result.get("canonical") for state in states):
        yield (
            "canonical variance: how far canonical keypoints vary over one person's frames, squared, against their "
            "distance from the middle of the face; 0 is a face that expression and pose leave as it is"
        )
    reports = [report for state in states if state.result for report in state.result["sets"].values()]
    warned = {metric: one["warning"] for report in reports for metric, one in report.items() if one.get("warning")}
    yield from (f"{metric.upper()}: {warning}" for metric, warning in warned.items())
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
                **{
                    name: result.get(name)
                    for name in ("seconds", "peak_gb", "speed", "versions", "git", "leakage", "canonical", "missing")
                },
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
        "differences": [{"column": column} | asdict(one) for (column, _), one in differences(plan, states).items()],
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
