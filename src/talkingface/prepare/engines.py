"""Who does the jobs of a set: this process, or a pool of them; a cluster has :mod:`talkingface.prepare.cluster`."""

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from talkingface.core.errors import TalkingFaceError
from talkingface.prepare.jobs import Job, do
from talkingface.prepare.networks import load_networks
from talkingface.prepare.settings import Settings

AHEAD = 3  # jobs that wait for each process


@dataclass(frozen=True)
class Worker:
    """Does jobs one after the other; its networks are loaded at the first one, so it may be sent anywhere before.

    It works in one thread, so that every engine makes the same bytes.

    Attributes:
        src: folder of the raw videos.
        dst: the set.
        settings: thresholds.
        device: where faces are looked for.
    """

    src: Path
    dst: Path
    settings: Settings
    device: str = "cpu"

    def do(self, job: Job) -> None:
        """Do a job and keep its outcome.

        Raises:
            TalkingFaceError: when the disk is full.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on some processors sums of several threads differ in the last digit
        try:
            do(job, self.src, self.dst, self.settings, load_networks(self.settings, self.device))
        finally:
            torch.set_num_threads(threads)


Engine = Callable[[Iterator[Job], Worker], Generator[int, None, None]]
"""Does all jobs, in any order, and tells the number of sources in those that have ended since it last did.

Jobs are taken as they can be done, never all at once. Closed early, it leaves nobody at work."""


def in_process(jobs: Iterator[Job], worker: Worker) -> Generator[int, None, None]:
    """The engine that needs nothing: one job after the other, here."""
    for job in jobs:
        worker.do(job)
        yield len(job.sources)


@dataclass(frozen=True)
class Pool:
    """The engine of one machine.

    Attributes:
        processes: that work at once.
    """

    processes: int

    def __call__(self, jobs: Iterator[Job], worker: Worker) -> Generator[int, None, None]:
        """See :data:`Engine`.

        Raises:
            TalkingFaceError: of a job, or when a process died.
        """
        # spawned, since a fork of a process whose networks run threads may hang
        pool = ProcessPoolExecutor(self.processes, get_context("spawn"), _begin, (os.getpid(), worker))
        waiting: dict[Future[None], int] = {}
        try:
            for job in jobs:
                waiting[pool.submit(_do, job)] = len(job.sources)
                if len(waiting) >= AHEAD * self.processes:
                    yield _some(waiting)
            while waiting:
                yield _some(waiting)
        except BrokenProcessPool as error:
            raise TalkingFaceError(
                "a process died, maybe for want of memory. Finished clips are kept: run the same command again, "
                "with fewer --processes."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _some(waiting: dict[Future[None], int]) -> int:
    """Wait for the next jobs to end; the number of their sources."""
    ended = wait(waiting, return_when=FIRST_COMPLETED).done
    sources = 0
    for future in ended:
        sources += waiting.pop(future)
        future.result()
    return sources


_worker: list[Worker] = []  # of a process of the pool


def _begin(parent: int, worker: Worker) -> None:
    """In a process of the pool: no life after the parent's."""
    _worker.append(worker)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _do(job: Job) -> None:
    _worker[0].do(job)
