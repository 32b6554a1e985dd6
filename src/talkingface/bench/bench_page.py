"""The page of a bench: tables, videos, curves, settings and failures in one file."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

import yaml

from talkingface.bench import page
from talkingface.bench.plan import Plan
from talkingface.bench.runner import CellState
from talkingface.evaluation.tables import Table

CURVES = {"train/loss_step": "training loss", "val/psnr": "PSNR of validation people (dB)"}


def html_page(plan: Plan, states: Sequence[CellState], tables: Sequence[Table], out: Path) -> str:
    """Everything that a bench has found so far.

    Args:
        plan: what was asked for.
        states: of all its cells.
        tables: the first is the main one.
        out: folder of the results.
    """
    done = [state for state in states if state.result]
    minutes = sum(sum(state.result["seconds"].values()) for state in done if state.result) / 60
    lead = (
        f"{len(done)} of {len(states)} cells ({len(plan.variants)} variants × {len(plan.seeds)} seeds) are finished, "
        f"{minutes:.0f} processor minutes in all. {plan.source}"
    )
    sections = [
        ("Results", "".join(page.scroll(table.html()) for table in tables)),
        ("Side by side", _videos(plan, done)),
    ]
    sections.append(("Training", "".join(_curves(column, title, plan, done, out) for column, title in CURVES.items())))
    sections.append(("Settings", _settings(plan, done)))
    failed = [state for state in states if state.failed]
    if failed:
        logs = (page.paragraph(f"{state.cell.name}: {state.log}") + page.listing(state.tail) for state in failed)
        sections.insert(1, ("Failures", "".join(logs)))
    return page.page(plan.title, lead, sections)


def _videos(plan: Plan, done: Sequence[CellState]) -> str:
    """The same clips from every variant, first finished seed."""
    parts = [page.paragraph("portrait | driving | output | true picture; the same clips for every variant")]
    for variant in plan.variants:
        own = [state for state in done if state.cell.variant.name == variant.name]
        if own:
            clips = sorted(own[0].folder.glob("*.mp4"), key=lambda path: (path.name[:5] == "cross", path.name))
            shown = [page.video(path, f"{variant.label}, seed {own[0].cell.seed}, {path.stem}") for path in clips]
            parts.append(page.grid(shown))
    return "".join(parts)


def _curves(column: str, title: str, plan: Plan, done: Sequence[CellState], out: Path) -> str:
    lines = {}
    for variant in plan.variants:
        points: dict[float, list[float]] = {}
        for state in done:
            if state.cell.variant.name == variant.name:
                for step, value in logged(out / "fits" / state.cell.fit_key[:16] / "metrics.csv", column):
                    points.setdefault(step, []).append(value)
        lines[variant.label] = [(step, statistics.fmean(values)) for step, values in sorted(points.items())]
    return page.curves(lines, "step", f"{title}, mean over seeds")


def logged(path: Path, column: str) -> list[tuple[float, float]]:
    """Step and value of a quantity that training logged.

    Args:
        path: ``metrics.csv``; nothing where it is absent.
        column: of the file.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(float(row["step"]), float(row[column])) for row in csv.DictReader(file) if row.get(column)]


def _settings(plan: Plan, done: Sequence[CellState]) -> str:
    about = {
        "base": plan.base,
        "steps": plan.steps,
        "seeds": list(plan.seeds),
        "evaluation": vars(plan.evaluation),
        "variants": {variant.label: dict(variant.changes) for variant in plan.variants},
    }
    parts = [page.listing(yaml.safe_dump(about, sort_keys=False, allow_unicode=True))]
    versions = {yaml.safe_dump(state.result["versions"] | state.result["git"]) for state in done if state.result}
    parts += [page.listing(text) for text in sorted(versions)]
    if done and done[0].result:
        parts.append(page.listing(yaml.safe_dump(done[0].result["conventions"], width=100, allow_unicode=True)))
        config = yaml.safe_dump(done[0].cell.variant.config, sort_keys=False)
        parts += [page.paragraph(f"the whole configuration of '{done[0].cell.variant.label}':"), page.listing(config)]
    return "".join(parts)
