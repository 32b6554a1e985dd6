"""The engine of many machines: workers are Ray actors, which load their networks once and use a GPU where there is one.

Every machine needs talkingface, and sees SRC and DST under the same paths.
"""

import os
import socket
from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from typing import Any

import torch

from talkingface.core.errors import ConfigError, TalkingFaceError
from talkingface.prepare.engines import Worker
from talkingface.prepare.jobs import Job

AHEAD = 2  # jobs that an actor has: one at work, one that waits
TRIES = 3  # of a job, or of a start, whose worker died
PATIENCE = 300.0  # seconds in which the cluster must give one worker
STORE = 2**27  # bytes of the object store of a Ray of our own; jobs are small and clips go to disk


@dataclass(frozen=True)
class Ray:
    """The engine of a Ray cluster.

    Attributes:
        address: of the cluster, as ``ray start`` prints it, or ``auto`` on one of its machines; empty for a Ray of this
            run alone, on this machine.
        processes: workers, of one processor each; 0 for as many as there are processors.

    Raises:
        ConfigError: without Ray.
    """

    address: str = ""
    processes: int = 0

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise ConfigError("the engine 'ray' needs Ray, which is not installed: pip install 'talkingface[ray]'")

    def __call__(self, jobs: Iterator[Job], worker: Worker) -> Generator[int, None, None]:
        """See :data:`~talkingface.prepare.engines.Engine`; the job of a worker that died is done by another one.

        Raises:
            ConfigError: without such a cluster, or with machines that do not see the set.
            TalkingFaceError: of a job, or when workers die again and again.
        """
        for first in jobs:  # a finished set needs no cluster
            with _connected(self.address, self.processes) as ray:
                yield from _Crew(ray, worker, self.processes).work(chain([first], jobs))


class Actor:
    """A worker on a machine of the cluster.

    Args:
        worker: what it does.
        gpu: whether it was given a share of one.
    """

    def __init__(self, worker: Worker, gpu: bool) -> None:
        self._worker = replace(worker, device="cuda" if gpu and torch.cuda.is_available() else "cpu")

    def begin(self) -> None:
        """Look whether this machine can work on the set.

        Raises:
            ConfigError: when it does not see it.
        """
        for folder in (self._worker.src, self._worker.dst / "settings.json"):
            if not folder.exists():
                raise ConfigError(
                    f"the machine {socket.gethostname()} of the Ray cluster does not see {folder}. Keep SRC and DST on "
                    "a file system that all machines share, under the same paths."
                )

    def do(self, job: Job) -> None:
        """Do a job and keep its outcome."""
        self._worker.do(job)


class _Crew:
    """The actors of one run, and what each is at.

    Args:
        ray: the library, connected.
        worker: what each actor is.
        processes: as for :class:`Ray`.
    """

    def __init__(self, ray: Any, worker: Worker, processes: int) -> None:
        there = ray.cluster_resources()
        self._count = processes or int(there.get("CPU", 0))
        if not self._count:
            raise ConfigError("the Ray cluster has no processor. Start a worker: ray start --address HEAD:6379")
        share = int(10_000 * min(1.0, there.get("GPU", 0) / self._count)) / 10_000  # Ray counts to four places
        # spread, since each machine has but one network card to fetch videos with
        kind = ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(Actor)
        self._new = lambda: kind.remote(worker, share > 0)
        self._ray = ray
        self._actors = set[Any]()
        self._tasks: dict[Any, tuple[Any, Job | None]] = {}  # → who does it, and the job but for a start
        self._lost = Counter[Job | None]()

    def work(self, jobs: Iterator[Job]) -> Generator[int, None, None]:
        """Do all jobs, see :data:`~talkingface.prepare.engines.Engine`."""
        again, all_given = deque[Job](), False
        for _ in range(self._count):
            self._hire()
        try:
            while again or not all_given or any(job for _, job in self._tasks.values()):
                actor, job, lived = self._next()
                if not lived:
                    again.extend([job] if job else [])
                    continue
                if job:
                    yield len(job.sources)
                for _ in range(1 if job else AHEAD):
                    following = again.popleft() if again else next(jobs, None)
                    if following is None:
                        all_given = True
                        break
                    self._tasks[actor.do.remote(following)] = actor, following
        finally:
            for actor in self._actors:
                self._ray.kill(actor)

    def _hire(self) -> None:
        """Ask for one more actor; the cluster may let it wait until there is room."""
        actor = self._new()
        self._actors.add(actor)
        self._tasks[actor.begin.remote()] = actor, None

    def _next(self) -> tuple[Any, Job | None, bool]:
        """Wait for something to end: whose it was, its job but for a start, and whether the actor lives; one that does
        not has a successor already."""
        while not (ended := self._ray.wait(list(self._tasks), num_returns=1, timeout=PATIENCE)[0]):
            if not any(job for _, job in self._tasks.values()):
                raise TalkingFaceError(
                    f"the Ray cluster started no worker in {PATIENCE:.0f} s. See whether others use it: ray status"
                )
        actor, job = self._tasks.pop(ended[0])
        errors = self._ray.exceptions
        try:
            self._ray.get(ended[0])
            return actor, job, True
        except errors.RayTaskError as error:
            if isinstance(error.cause, TalkingFaceError):
                raise error.cause from None
            raise
        except errors.RayError as error:  # it died, or its machine was lost
            self._lost[job] += 1
            if self._lost[job] >= TRIES:
                at = f"at work on {job.sources[0].path}" if job else "at its start"
                raise TalkingFaceError(
                    f"a worker of the Ray cluster died {TRIES} times {at}, maybe for want of memory "
                    f"({_line(error)}). Finished clips are kept: run the same command again, with fewer --processes."
                ) from error
            if actor in self._actors:
                self._actors.remove(actor)
                self._hire()
            return actor, job, False


@contextmanager
def _connected(address: str, processes: int) -> Iterator[Any]:
    """Ray, connected to a cluster, to one that this process is connected to already, or to one of our own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_module("ray")
    if ray.is_initialized():
        yield ray
        return
    own = {"num_cpus": processes or None, "include_dashboard": False, "object_store_memory": STORE}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **({} if address else own))
    except Exception as error:  # what Ray raises, too, when it does not come up in time
        mend = (
            f"See whether it is up: ray status --address {address}" if address else "Is the machine too busy? Try again"
        )
        raise ConfigError(f"Ray cannot be reached at '{address or 'local'}' ({_line(error)}). {mend}.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _line(error: Exception) -> str:
    """The beginning of what Ray says, which may be pages."""
    return " ".join(str(error).split())[:300]
