"""What Ray costs beside the pool of one machine: runs of each in turn on the same videos (Linux).

    python benchmarks/prepare_engines.py RAW [--processes 2] [--rounds 3] [prepare's own options …]

Wall time of the whole command, of the part between its first and its last outcome (without start and report), and
processor seconds of all processes below it. Also compares the manifests.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from talkingface.weights import sha256

TICKS = os.sysconf("SC_CLK_TCK")


def spent_below(parent: int, spent: dict[int, float]) -> None:
    """Note the processor seconds of a process and all below it; those that ended keep what was noted last."""
    above, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        above[int(path.parent.name)] = int(facts[1])
        used[int(path.parent.name)] = (int(facts[11]) + int(facts[12])) / TICKS
    found, last = {parent}, set[int]()
    while found != last:
        last = set(found)
        found |= {child for child, its in above.items() if its in found}
    spent.update({process: used[process] for process in found if process in used})


def once(command: list[str], dst: Path) -> tuple[float, float, float]:
    """Seconds: all of it, from first to last outcome, of processors."""
    begun, spent = time.perf_counter(), dict[int, float]()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while run.poll() is None:
        spent_below(run.pid, spent)
        time.sleep(0.2)
    wall = time.perf_counter() - begun
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    times = [path.stat().st_mtime for path in (dst / "work").glob("*/*.json")]
    return wall, max(times) - min(times), sum(spent.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("--processes", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    options, more = parser.parse_known_args()
    command = [sys.executable, "-m", "talkingface", "prepare", "folder", str(options.raw)]
    found: dict[str, list[tuple[float, float, float]]] = {"local": [], "ray": []}
    manifests = set()
    for _ in range(options.rounds):
        for engine, runs in found.items():
            with tempfile.TemporaryDirectory() as name:
                dst = Path(name)
                runs.append(once([*command, name, "--engine", engine, "--processes", options.processes, *more], dst))
                manifests.add(sha256(dst / "manifest.parquet"))
    print(f"{options.rounds} rounds, medians in seconds; {len(manifests)} different manifests")
    middle = {
        engine: [statistics.median(column) for column in zip(*runs, strict=True)] for engine, runs in found.items()
    }
    for engine, (wall, jobs, spent) in middle.items():
        print(f"  {engine:6} all {wall:7.1f}   first to last outcome {jobs:7.1f}   processor {spent:7.1f}")
    ratios = [100 * (mine / theirs - 1) for mine, theirs in zip(middle["ray"], middle["local"], strict=True)]
    print("  ray over local: " + ", ".join(f"{ratio:+.0f} %" for ratio in ratios))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
