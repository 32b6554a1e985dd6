"""What a prepared set holds: statistics as AniTalker's supplement has them, losses by filter, and a page to look at."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from talkingface.bench import page
from talkingface.core.files import write_text
from talkingface.data.folder import MANIFEST, SPLITS
from talkingface.prepare.manifest import DROPPED, read_rows
from talkingface.prepare.sheets import clip_sheet, left_out_sheets

LISTED = 500  # drops that the page lists; the rest is in dropped.parquet
HISTOGRAMS = {  # column → title, first and last edge of 20 bins
    "yaw": ("largest turn to the side, degrees", 0.0, 90.0),
    "pitch": ("median nod, degrees by five points", -45.0, 45.0),
    "roll": ("median tilt, degrees by five points", -45.0, 45.0),
    "face": ("face box in the source, pixels", 0.0, 1000.0),
    "frames": ("length, frames", 0.0, 750.0),
    "loudness": ("loudness, dBFS (-120: no sound)", -120.0, 0.0),
    "blur": ("sharpness (variance of the Laplacian)", 0.0, 400.0),
    "likeness": ("the face to itself, least cosine in a clip", 0.0, 1.0),
    "offset": ("frames by which the sound leads", -10.0, 10.0),
    "confidence": ("confidence that lips and sound belong together", 0.0, 15.0),
    "labelled": ("share of frames with landmarks", 0.0, 1.0),
}
BINS = 20


def statistics_of(dst: Path, sources: int) -> dict[str, Any]:
    """Count a prepared set.

    Args:
        dst: the set.
        sources: videos, or annotated spans of videos, that were looked at.

    Returns:
        ``sources``; ``sets``: split, and ``all``, → ``identities``, ``clips``, ``hours``, ``hours_with_sound``;
        ``emotions``: clips of each; ``dropped``: stage → reason → spans and hours; ``histograms``: column → counts,
        of what was measured.
    """
    people: dict[str, set[str]] = defaultdict(set)
    clips, frames, heard, emotions = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    counts = {name: np.zeros(BINS, np.int64) for name in HISTOGRAMS}
    for row in read_rows(dst / MANIFEST):
        for split in (row["split"], "all"):
            people[split].add(row["identity"])
            clips[split] += 1
            frames[split] += row["frames"]
            heard[split] += row["frames"] * row["sound"]
        emotions[row["emotion"]] += bool(row["emotion"])
        for name in [name for name in HISTOGRAMS if row[name] is not None]:
            _, low, high = HISTOGRAMS[name]
            place = int((row[name] - low) / (high - low) * BINS)
            counts[name][min(max(place, 0), BINS - 1)] += 1
    lost: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    for row in read_rows(dst / DROPPED):
        reason = row["reason"] if row["stage"] not in ("layout", "probe", "duplicate", "sync") else "file"
        lost[row["stage"]][reason] += 1
        seconds[row["stage"]] += row["seconds"]
    return {
        "sources": sources,
        "sets": {
            split: {
                "identities": len(people[split]),
                "clips": clips[split],
                "hours": round(frames[split] / 90_000, 4),
                "hours_with_sound": round(heard[split] / 90_000, 4),
            }
            for split in (*SPLITS, "all")
        },
        "emotions": dict(sorted((+emotions).items())),
        "dropped": {
            stage: {"spans": reasons.total(), "hours": round(seconds[stage] / 3600, 4), "reasons": dict(reasons)}
            for stage, reasons in sorted(lost.items())
        },
        "histograms": {name: found.tolist() for name, found in counts.items() if found.any()},
    }


def write_report(dst: Path, src: Path, layout: str, sources: int) -> None:
    """Write ``statistics.json`` and ``index.html`` of a prepared set.

    Args:
        dst: the set.
        src: what it was made of.
        layout: of that.
        sources: as :func:`statistics_of`.
    """
    found = statistics_of(dst, sources)
    write_text(dst / "statistics.json", json.dumps(found, indent=1) + "\n")
    total = found["sets"]["all"]
    lead = (
        f"{total['clips']} clips of {total['identities']} people, {total['hours']:.2f} hours, made of {sources} "
        f"sources of the layout '{layout}'."
    )
    settings = (dst / "settings.json").read_text(encoding="utf-8")
    sections = [
        ("Statistics", _table(("", "#IDs", "#Clips", "Hours", "with sound"), _set_rows(found))),
        ("Left out", _losses(found["dropped"]) + _dropped_list(dst)),
        ("Clips", clip_sheet(dst, total["clips"])),
        ("Left out, to look at", left_out_sheets(dst, src)),
        ("Distributions", page.grid([_bars(bars, *HISTOGRAMS[name]) for name, bars in found["histograms"].items()])),
        ("Settings", page.listing(settings)),
    ]
    write_text(dst / "index.html", page.page(f"Prepared set {dst.name}", lead, sections))


def _set_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (name, str(one["identities"]), str(one["clips"]), f"{one['hours']:.2f}", f"{one['hours_with_sound']:.2f}")
        for name, one in found["sets"].items()
    ]


def _losses(dropped: Mapping[str, Any]) -> str:
    rows = [
        (stage, reason if reason != "file" else "see below", str(count), f"{one['hours']:.3f}" if not number else "")
        for stage, one in dropped.items()
        for number, (reason, count) in enumerate(one["reasons"].items())
    ]
    return _table(("stage", "reason", "spans", "hours of the stage"), rows) if rows else page.paragraph("nothing")


def _dropped_list(dst: Path) -> str:
    rows: list[tuple[str, ...]] = []
    for row in read_rows(dst / DROPPED):
        if len(rows) == LISTED:
            rows.append(("…", "the rest is in " + DROPPED, "", ""))
            break
        span = f"{row['start']:.1f} s, {row['seconds']:.1f} s long" if row["seconds"] else "all of it"
        rows.append((row["source"], span, row["stage"], row["reason"]))
    return page.words(_table(("source", "from", "stage", "reason"), rows)) if rows else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _bars(counts: Sequence[int], title: str, low: float, high: float) -> str:
    """A histogram as SVG."""
    most, width, height = max(*counts, 1), 420, 120
    step = width / len(counts)
    drawn = "".join(
        f'<rect x="{number * step + 1:.1f}" y="{height - count / most * height:.1f}" width="{step - 2:.1f}" '
        f'height="{count / most * height:.1f}" fill="#2b7a4b"><title>{count}</title></rect>'
        for number, count in enumerate(counts)
    )
    axis = (
        f'<text x="0" y="{height + 16}" font-size="12">{low:g}</text>'
        f'<text x="{width}" y="{height + 16}" font-size="12" text-anchor="end">{high:g}</text>'
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height + 20}" style="max-width:{width}px">{drawn}{axis}</svg>'
        f"<figcaption>{escape(title)}; the tallest bar is {most}</figcaption></figure>"
    )
