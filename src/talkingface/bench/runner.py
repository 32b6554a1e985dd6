"""Runs the cells of a bench, each in a process of its own; what is finished is never done twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkingface.bench.plan import CellPlan, Fit, Plan
from talkingface.core.errors import WeightsError
from talkingface.core.files import atomic_folder, only_one, write_text
from talkingface.weights import find_weights

POLL = 0.1  # seconds between two looks at the running cells
TAIL = 25  # lines of a log that are worth showing
CELL = (sys.executable, "-m", "talkingface.bench.cell")


@dataclass(frozen=True)
class CellState:
    """Where a cell stands.

    Args:
        cell: what was asked for.
        folder: of its result.
        log: what its process wrote.
        result: content of ``cell.json``; ``None`` until it is finished.
        failed: whether its process ended without a result.
    """

    cell: CellPlan
    folder: Path
    log: Path
    result: dict[str, Any] | None = None
    failed: bool = False

    @property
    def tail(self) -> str:
        """The end of the log."""
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])


Watch = Callable[[Sequence[CellState], CellState | None], None]


def run_bench(
    plan: Plan, out: Path, jobs: int, only: Sequence[str], watch: Watch, command: Sequence[str] = CELL
) -> list[CellState]:
    """Run what is missing.

    Args:
        plan: what is wanted.
        out: folder of all results.
        jobs: cells at once.
        only: names of the variants to run; all when empty.
        watch: told the state of all cells, and which one has just ended: once at the start, then after each.
        command: starts a cell; the path of its JSON and an option are put behind it.

    Returns:
        The state of every cell of the plan.

    Raises:
        TalkingFaceError: when another bench runs in the folder.
    """
    wanted = {cell.key for cell in plan.cells(only)}
    with only_one(out, "bench"):
        for leftover in (*out.glob("cells/.*.part*"), *out.glob("fits/.*.part*")):
            shutil.rmtree(leftover, ignore_errors=True)  # of a bench that was killed
        states = {cell.name: _state(cell, out) for cell in plan.cells()}
        watch(list(states.values()), None)
        waiting = {state.cell.key: state for state in states.values() if not state.result and state.cell.key in wanted}
        for key in _processes(list(waiting.values()), out, jobs, command):
            ended = [state for state in states.values() if state.cell.key == key]
            for state in ended:  # more than one where two variants are the same
                new = _state(state.cell, out)
                states[state.cell.name] = (
                    new if new.result else CellState(state.cell, new.folder, waiting[key].log, failed=True)
                )
            watch(list(states.values()), states[ended[0].cell.name])
    return list(states.values())


def job_of(cell: CellPlan, out: Path) -> dict[str, Any]:
    """What the process of a cell is told.

    Args:
        cell: what is wanted.
        out: folder of all results.
    """
    return {
        **{key: getattr(cell, key) for key in ("name", "key", "metrics", "tasks")},
        "variant": cell.variant.name,
        "animate": dict(cell.variant.animate),
        "evaluation": asdict(cell.evaluation),
        "people": cell.evaluation.identities,
        "fit": _fit(cell.fit, out),
        "cell": str(_folder(cell, out).resolve()),
    }


def _fit(fit: Fit, out: Path) -> dict[str, Any]:
    """What is to be trained, and where the model goes; first what it needs."""
    return {
        **{key: getattr(fit, key) for key in ("config", "seed", "steps", "key")},
        "folder": str((out / "fits" / fit.key[:16]).resolve()),
        "needs": {name: _fit(first, out) for name, first in fit.needs.items()},
    }


def _folder(cell: CellPlan, out: Path) -> Path:
    return out / "cells" / cell.key[:16]


def _state(cell: CellPlan, out: Path) -> CellState:
    folder = _folder(cell, out)
    log = out / "logs" / f"{cell.variant.name}-seed{cell.seed}.txt"
    file = folder / "cell.json"
    result = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return CellState(cell, folder, log, None if result is None or _curable(result) else result)


def _curable(result: dict[str, Any]) -> bool:
    """Whether the weights of a metric that had none are here by now; the cell is judged anew, not trained anew."""
    return any(all(map(is_here, networks)) for networks in result["missing"].values())


def is_here(network: str) -> bool:
    """Whether the weights of a network are on this machine.

    Args:
        network: its name in the manifest.
    """
    try:
        find_weights(network)
    except WeightsError:
        return False
    return True


def _processes(waiting: list[CellState], out: Path, jobs: int, command: Sequence[str]) -> Iterator[str]:
    """Start cells, ``jobs`` at once; gives the key of each that has ended."""
    waiting = waiting[:]
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                state = waiting.pop(0)
                if _borrowed(state, out):
                    yield state.cell.key
                    continue
                running[state.cell.key] = _start(state, out, command)
            for key in [key for key, process in running.items() if process.poll() is not None]:
                _close(running.pop(key))
                yield key
            time.sleep(POLL)
    finally:
        for process in running.values():
            _close(process)


def _start(state: CellState, out: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    state.log.parent.mkdir(parents=True, exist_ok=True)
    job = state.log.with_suffix(".json")
    write_text(job, json.dumps(job_of(state.cell, out), indent=1) + "\n")
    # Small maps keep one thread busy; with more cells than processors, threads would only wait for each other.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    with state.log.open("wb") as log:
        return subprocess.Popen(
            [*command, str(job), "--with-parent"],
            stdin=subprocess.PIPE,  # closes when this process dies, and the cell dies with it
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _close(process: "subprocess.Popen[bytes]") -> None:
    """See to it that nothing of a cell is left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _borrowed(state: CellState, out: Path) -> bool:
    """Take over the same cell, or its trained model, from a bench in a neighbouring folder."""
    fits = [f"fits/{fit.key[:16]}" for fit in state.cell.fit.chain()]
    for wanted in (f"cells/{state.folder.name}", *fits):
        for found in sorted(out.resolve().parent.glob(f"*/{wanted}")):
            if not (out / wanted).exists():
                with atomic_folder(out / wanted) as part:
                    shutil.copytree(found, part, dirs_exist_ok=True)
    return _state(state.cell, out).result is not None
