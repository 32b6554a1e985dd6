"""Engines: whoever does the jobs, the set is the same, errors are as clear, and nobody is left at work."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from prepare_toys import OPTIONS, SMALL, hashes
from talkingface.cli import main
from talkingface.core.errors import ConfigError, TalkingFaceError
from talkingface.prepare import cluster
from talkingface.prepare.engines import Pool, Worker
from talkingface.prepare.jobs import Job
from talkingface.prepare.records import Source
from talkingface.prepare.run import prepare

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'talkingface[ray]'")


@pytest.fixture(scope="module")
def ray():
    """One Ray for all tests here: starting it takes seconds."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    tests = str(Path(__file__).parents[1])  # workers unpickle this module's classes
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=cluster.STORE,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([tests, *sys.path])}},
    )
    yield ray
    ray.shutdown()


class Mortal(Worker):
    """A worker whose process dies at the first job that comes to it; a file in DST remembers how often."""

    deaths = 1

    def do(self, job: Job) -> None:
        for number in range(self.deaths):
            try:
                (self.dst / f"death {number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        super().do(job)


class Poisoned(Mortal):
    deaths = 99


class Known(Worker):
    """A worker that leaves the number of its process."""

    def do(self, job: Job) -> None:
        (self.dst / "workers").mkdir(exist_ok=True)
        (self.dst / "workers" / str(os.getpid())).touch()
        super().do(job)


class Full(Worker):
    """A worker on a full disk."""

    def do(self, job: Job) -> None:
        raise TalkingFaceError("the disk is full. Finished clips are kept: run the same command again.")


def jobs(raw):
    for name in "abc":
        yield Job((Source(raw / name / "take one.mp4", f"{name}/take", name),), ("",))


def outcomes(dst):
    return len(list((dst / "work").rglob("*.json")))


def started(raw, tmp_path, kind):
    (tmp_path / "settings.json").touch()
    return kind(raw, tmp_path, SMALL)


def test_a_pool_makes_what_one_process_makes(raw, made, tmp_path):
    prepare("folder", raw, tmp_path / "set", SMALL, Pool(2))
    assert hashes(tmp_path / "set") == hashes(made)


@needs_ray
def test_ray_makes_what_one_process_makes_and_tells_what_is_done(raw, made, tmp_path, ray):
    told = []
    prepare("folder", raw, tmp_path / "set", SMALL, cluster.Ray(), lambda *done: told.append(done))
    assert hashes(tmp_path / "set") == hashes(made)
    assert told[-1] == (9, 9)


@needs_ray
def test_a_job_whose_worker_died_is_done_by_another(raw, tmp_path, ray):
    worker = started(raw, tmp_path, Mortal)
    assert sum(cluster.Ray(processes=1)(jobs(raw), worker)) == 3
    assert (tmp_path / "death 0").exists()
    assert outcomes(tmp_path) == 3


@needs_ray
def test_a_job_that_kills_every_worker_is_named(raw, tmp_path, ray, monkeypatch):
    monkeypatch.setattr(cluster, "TRIES", 2)
    with pytest.raises(TalkingFaceError, match=r"died 2 times at work on .*take one\.mp4.*run the same command again"):
        list(cluster.Ray(processes=1)(jobs(raw), started(raw, tmp_path, Poisoned)))


@needs_ray
def test_an_error_of_a_worker_comes_through_ray_as_it_is(raw, tmp_path, ray):
    with pytest.raises(TalkingFaceError, match=r"^the disk is full\. Finished clips") as caught:
        list(cluster.Ray(processes=1)(jobs(raw), started(raw, tmp_path, Full)))
    assert type(caught.value) is TalkingFaceError


@needs_ray
def test_a_machine_that_does_not_see_the_set_is_named(raw, tmp_path, ray):
    with pytest.raises(ConfigError, match=r"does not see .*settings\.json\. Keep SRC and DST on"):
        list(cluster.Ray(processes=1)(jobs(raw), Worker(raw, tmp_path / "elsewhere", SMALL)))


def test_no_ray_is_one_line_with_the_command_that_mends_it(raw, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert main(["prepare", "folder", str(raw), str(tmp_path / "set"), "--engine", "ray"]) == 1
    assert "pip install 'talkingface[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


@needs_ray
def test_a_cluster_that_is_not_there_is_one_line(raw, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # by the other tests here
    code = main(["prepare", "folder", str(raw), str(tmp_path / "set"), "--engine", "ray", "--address", "nowhere"])
    assert code == 1
    assert "Ray cannot be reached at 'nowhere'" in capsys.readouterr().err


def test_an_address_without_ray_is_wrong_usage(raw, tmp_path):
    assert main(["prepare", "folder", str(raw), str(tmp_path / "set"), "--address", "auto"]) == 2


def descendants(parent: int) -> set[int]:
    """Processes below one, by /proc."""
    above = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            above[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended
            continue
    found, last = {parent}, set()
    while found != last:
        last = set(found)
        found |= {child for child, its in above.items() if its in found}
    return found - {parent}


def at_work(processes: set[int]) -> set[int]:
    def state(process: int) -> str:
        try:
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "gone"

    return {process for process in processes if state(process) not in ("gone", "Z", "X")}


def stop(processes: set[int]) -> bool:
    """Whether they end, in minutes at most: on a busy machine Ray's own processes are slow to see that it is over."""
    deadline = time.monotonic() + 300
    while at_work(processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not at_work(processes)


@needs_ray
def test_closed_early_ray_took_few_jobs_and_leaves_nobody_at_work(raw, tmp_path, ray):
    taken = count()
    endless = (job for _ in count() for job in jobs(raw) if next(taken) >= 0)
    ended = cluster.Ray(processes=1)(endless, started(raw, tmp_path, Known))
    assert next(ended) == 1
    workers = {int(path.name) for path in (tmp_path / "workers").iterdir()}
    assert at_work(workers) == workers
    ended.close()
    assert next(taken) <= cluster.AHEAD + 1
    assert stop(workers)


@pytest.mark.parametrize(
    ("engine", "how"),
    [("local", signal.SIGINT), ("local", signal.SIGKILL), pytest.param("ray", signal.SIGKILL, marks=needs_ray)],
)
def test_a_run_that_is_stopped_or_killed_leaves_nobody_at_work(raw, tmp_path, engine, how):
    dst = tmp_path / "set"
    command = [sys.executable, "-m", "talkingface", "prepare", "folder", str(raw), str(dst), *OPTIONS]
    command += ["--engine", engine, "--processes", "2"]
    victim = subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run behind a shell
    )
    try:
        deadline = time.monotonic() + 300
        while not list(dst.glob("clips/*/*.mp4")) and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = descendants(victim.pid)
        assert len(workers) >= 2
        victim.send_signal(how)
        _, said = victim.communicate(timeout=100)
    finally:
        victim.kill()
    assert victim.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert said.endswith("talkingface: stopped.\n") == (how == signal.SIGINT)
    assert stop(workers)
