"""What the finished cells of a bench hold: columns and their titles, values, rows of clips."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from talkingface.bench.columns import CANONICAL, COSTS, CROSS_ONLY, LEAKAGE, PROBES, SPEED, metric_of, task_of
from talkingface.bench.plan import Plan
from talkingface.bench.runner import CellState
from talkingface.evaluation.scoring import metric_class
from talkingface.evaluation.statistics import estimate
from talkingface.evaluation.tables import Column

MODEL = "model"
COST_COLUMNS = {
    "parameters": Column("parameters", "parameters", "million", None, 2),
    "minutes": Column("minutes", "training", "min", None, 1),
    "peak_gb": Column("peak_gb", "memory", "GiB", None, 2),
    "one-step-loss": Column("one-step-loss", "loss of the first step", "", None, 3),
}
SPEED_COLUMNS = {  # without a direction: what is noisy is neither bold nor tested
    "frames-per-second": Column("frames-per-second", "speed", "frames/s, noisy", None, 1),
    "first-frame": Column("first-frame", "first frame", "ms, noisy", None, 0),
    "real-time-factor": Column("real-time-factor", "real-time factor", "noisy", None, 2),
    "animate-gb": Column("animate-gb", "memory of animating", "GiB", None, 2),
}
PROBE_COLUMNS = {
    LEAKAGE: Column(LEAKAGE, "identity leakage", "", False, 3),
    CANONICAL: Column(CANONICAL, "canonical variance", "%", False, 4),
}
TRUTH_COLUMNS = {
    "pose-error": ("pose error", "°", False, 2),
    "expression-rmse": ("expression RMSE", "", False, 3),
    "landmark-error": ("landmark error", "px of 64", False, 2),
    "expression-leakage": ("expression leakage", "", False, 3),
    "expression-transfer": ("expression transfer", "", True, 3),
    "lip-correlation": ("lip correlation", "", True, 3),
    "lip-opening": ("lip opening", "% of the true one", None, 1),
    "location-error": ("place error", "% of width", False, 2),
    "scale-error": ("size error", "% of height", False, 2),
}

PREFIXES = {"self": "", "cross": "cross ", "speech": "", "told": "told: ", "dubbed": "dubbed: "}

Row = dict[str, Any]


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
    of_model = COST_COLUMNS | PROBE_COLUMNS | SPEED_COLUMNS
    if name in of_model:
        return of_model[name]
    metric, prefix = metric_of(name), PREFIXES[task_of(name)]
    if metric in TRUTH_COLUMNS:
        title, unit, higher, digits = TRUTH_COLUMNS[metric]
        return Column(name, title if metric in CROSS_ONLY else prefix + title, unit, higher, digits)
    kind = metric_class(metric)
    return Column(name, prefix + metric.upper(), kind.unit, kind.higher_is_better, 2 if kind.unit else 3)


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
    if name in (*COSTS, *PROBES, *SPEED):
        if system != MODEL:
            return math.nan
        of_model = {
            "parameters": result["parameters"] / 1e6,
            "minutes": result["seconds"]["train"] / 60,
            "peak_gb": max(result["peak_gb"].values()),
            "one-step-loss": math.nan if (loss := result.get("one_step_loss")) is None else loss,  # of older cells
            **{name: result.get("speed", {}).get(name, math.nan) for name in SPEED},
            LEAKAGE: result["leakage"].get("accuracy", math.nan),
            CANONICAL: result.get("canonical", {}).get("variance", math.nan) * 100,
        }
        return float(of_model[name])
    metric, task = metric_of(name), task_of(name)
    report = result["sets"].get(f"{task}/{system}", {}).get(metric)
    if report is not None:
        return math.nan if report.get("value") is None else float(report["value"])
    rows = [row for row in result["rows"] if row["task"] == task]
    if metric in result["missing"] or not any(metric in row for row in rows):
        return math.nan
    return estimate(rows, metric, system, resamples=1).mean


def clip_columns(plan: Plan, states: Sequence[CellState]) -> list[str]:
    """Columns that have a value for every clip.

    Args:
        plan: names the columns.
        states: of its cells.
    """
    rows = all_rows(states)
    present = {(row["task"], key) for row in rows for key in row}
    return [name for name in plan.columns if (task_of(name), metric_of(name)) in present]


def pooled_rows(states: Sequence[CellState], variant: str) -> list[Row]:
    """The model's rows of all seeds, as rows of a system that is named like the variant.

    Args:
        states: of the cells.
        variant: its name.
    """
    return [
        row | {"system": variant, "clip": f"{row['clip']}, seed {state.cell.seed}"}
        for state in states
        if state.result and state.cell.variant.name == variant
        for row in state.result["rows"]
        if row["system"] == MODEL
    ]


def of_task(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows that a column is about."""
    return [row for row in rows if row["task"] == task_of(column)]
