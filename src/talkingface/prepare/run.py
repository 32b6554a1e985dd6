"""Prepare a whole set: its jobs go to an engine, restartable at any moment, one run at a time."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from talkingface import registry
from talkingface.core.errors import ConfigError
from talkingface.core.files import only_one, write_text
from talkingface.prepare.disk import full_disk_stops
from talkingface.prepare.engines import Engine, Worker, in_process
from talkingface.prepare.jobs import Job, find_copies, kept, key_of, plan, read_outcome
from talkingface.prepare.layouts import Layout
from talkingface.prepare.manifest import write_tables
from talkingface.prepare.networks import load_networks
from talkingface.prepare.records import Source
from talkingface.prepare.report import write_report
from talkingface.prepare.settings import Settings

LEFT_OVER = re.compile(r"\..*\.[0-9a-f]{8}\.part(\..*)?")  # of talkingface.core.files, when the process was killed

Progress = Callable[[int, int], None]


def prepare(
    layout: str,
    src: str | Path,
    dst: str | Path,
    settings: Settings | None = None,
    engine: Engine = in_process,
    progress: Progress | None = None,
) -> None:
    """Make a training set of raw videos.

    Killed at any moment, the same call goes on where it stopped, and the result is the same.

    Args:
        layout: short name of a :class:`~talkingface.prepare.layouts.Layout`, maybe one of a plugin.
        src: folder of the raw videos, which is only read.
        dst: the set: ``clips/``, ``manifest.parquet``, ``dropped.parquet``, ``statistics.json``, ``index.html``.
        settings: thresholds.
        engine: does the jobs: in this process, :class:`~talkingface.prepare.engines.Pool` or
            :class:`~talkingface.prepare.cluster.Ray`.
        progress: is told the jobs done and their number.

    Raises:
        ConfigError: an unknown layout, or a set that was begun with other settings.
        MediaError: a folder that cannot be read.
        TalkingFaceError: a full disk, another run at work on the set, or a worker that died.
        WeightsError: a network that is missing; nothing was done then.
    """
    tree: Layout = registry.built("layout", layout)
    src, dst, settings = Path(src).absolute(), Path(dst).absolute(), settings or Settings()
    if dst.resolve().is_relative_to(src.resolve()):
        raise ConfigError(f"{dst} lies inside {src}, whose videos it would be made of. Give a folder outside it.")

    def sources() -> Iterator[Source]:
        return tree.sources(src)

    def jobs() -> Iterator[Job]:
        return plan(sources(), src, copies, settings)

    done = 0

    def ended(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    about = {"layout": layout, **asdict(settings), **load_networks(settings, "cpu").fingerprints}
    with full_disk_stops(dst), only_one(dst, "prepare"):
        copies, total = find_copies(sources)
        if not total:
            name, _, _ = layout.partition(":")
            raise ConfigError(f"{src} holds no video of the layout '{name}': see 'talkingface show layout.{name}'.")
        _same_settings(dst, about)
        _sweep(dst)
        left = _left(jobs(), src, dst, settings, ended)
        with closing(engine(left, Worker(src, dst, settings))) as endings:
            for count in endings:
                ended(count)
        outcomes = (read_outcome(kept(dst, key_of(job, src, settings))) for job in jobs())
        write_tables(dst, outcomes, about)
        write_report(dst, src, layout, total)


def _left(jobs: Iterator[Job], src: Path, dst: Path, settings: Settings, ended: Callable[[int], None]) -> Iterator[Job]:
    """The jobs that no earlier run has done; of each other one the number of sources is told."""
    for job in jobs:
        if kept(dst, key_of(job, src, settings)).is_file():
            ended(len(job.sources))
        else:
            yield job


def _same_settings(dst: Path, mine: dict[str, Any]) -> None:
    """Refuse to mix clips of two kinds in one set."""
    path = dst / "settings.json"
    if not path.is_file():
        write_text(path, json.dumps(mine, indent=1) + "\n")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    changed = [f"{name} {theirs.get(name)}" for name, value in mine.items() if theirs.get(name) != value]
    if changed:
        raise ConfigError(f"{dst} was begun with {', '.join(changed)}. Give these again, or another folder.")


def _sweep(dst: Path) -> None:
    """Remove what a killed run left half written."""
    for folder, folders, files in os.walk(dst):
        for name in [name for name in (*folders, *files) if LEFT_OVER.fullmatch(name)]:
            path = Path(folder, name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
