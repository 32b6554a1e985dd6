"""Prepare a whole set: jobs over a pool of processes, restartable at any moment, one run at a time."""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from talkingface.core.errors import ConfigError, TalkingFaceError, did_you_mean
from talkingface.core.files import only_one, write_text
from talkingface.prepare.jobs import Job, do, find_copies, kept, key_of, plan, read_outcome
from talkingface.prepare.layouts import LAYOUTS
from talkingface.prepare.manifest import write_tables
from talkingface.prepare.networks import load_networks
from talkingface.prepare.records import Source
from talkingface.prepare.report import write_report
from talkingface.prepare.settings import Settings

AHEAD = 3  # jobs that wait for each process
LEFT_OVER = re.compile(r"\..*\.[0-9a-f]{8}\.part(\..*)?")  # of talkingface.core.files, when the process was killed

Progress = Callable[[int, int], None]


def prepare(
    layout: str,
    src: str | Path,
    dst: str | Path,
    settings: Settings | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> None:
    """Make a training set of raw videos.

    Killed at any moment, the same call goes on where it stopped, and the result is the same.

    Args:
        layout: a key of :data:`~talkingface.prepare.layouts.LAYOUTS`.
        src: folder of the raw videos, which is only read.
        dst: the set: ``clips/``, ``manifest.parquet``, ``dropped.parquet``, ``statistics.json``, ``index.html``.
        settings: thresholds.
        processes: that work at once.
        progress: is told the jobs done and their number.

    Raises:
        ConfigError: an unknown layout, or a set that was begun with other settings.
        MediaError: a folder that cannot be read.
        TalkingFaceError: a full disk, another run at work on the set, or a process that died.
        WeightsError: a network that is missing; nothing was done then.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"there is no layout '{layout}'; known: {did_you_mean(layout, LAYOUTS)}.")
    src, dst, settings = Path(src), Path(dst), settings or Settings()
    if dst.resolve().is_relative_to(src.resolve()):
        raise ConfigError(f"{dst} lies inside {src}, whose videos it would be made of. Give a folder outside it.")

    def sources() -> Iterator[Source]:
        return LAYOUTS[layout].sources(src)

    def jobs() -> Iterator[Job]:
        return plan(sources(), src, copies, settings)

    about = {"layout": layout, **asdict(settings), **load_networks(settings).fingerprints}
    with only_one(dst, "prepare"):
        copies, total = find_copies(sources)
        _same_settings(dst, about)
        _sweep(dst)
        _run(jobs(), src, dst, settings, processes, progress or (lambda done, total: None), total)
        outcomes = (read_outcome(kept(dst, key_of(job, src, settings))) for job in jobs())
        write_tables(dst, outcomes, about)
        write_report(dst, src, layout, total)


def _run(
    jobs: Iterator[Job], src: Path, dst: Path, settings: Settings, processes: int, progress: Progress, total: int
) -> None:
    done = 0
    waiting: dict[Future[None], int] = {}
    pool = _pool(processes) if processes > 1 else None
    try:
        for job in jobs:
            if kept(dst, key_of(job, src, settings)).is_file():
                done += len(job.sources)
            elif pool is None:
                do(job, src, dst, settings, load_networks(settings))
                done += len(job.sources)
            else:
                waiting[pool.submit(_work, job, src, dst, settings)] = len(job.sources)
                if len(waiting) >= AHEAD * processes:
                    done += _some(waiting)
            progress(done, total)
        while waiting:
            done += _some(waiting)
            progress(done, total)
    except BrokenProcessPool as error:
        raise TalkingFaceError(
            "a process died, maybe for want of memory. Finished clips are kept: run the same command again, "
            "with fewer --processes."
        ) from error
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _some(waiting: dict[Future[None], int]) -> int:
    """Wait for the next jobs to end; the number of their sources."""
    ended = wait(waiting, return_when=FIRST_COMPLETED).done
    sources = 0
    for future in ended:
        sources += waiting.pop(future)
        future.result()
    return sources


def _pool(processes: int) -> ProcessPoolExecutor:
    # spawned, since a fork of a process whose networks run threads may hang
    return ProcessPoolExecutor(processes, get_context("spawn"), _begin, (os.getpid(),))


def _begin(parent: int) -> None:
    """In a process of the pool: one thread for the networks, and no life after the parent's."""
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(job: Job, src: Path, dst: Path, settings: Settings) -> None:
    do(job, src, dst, settings, load_networks(settings))


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
