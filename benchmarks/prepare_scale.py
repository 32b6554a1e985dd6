"""What planning, and the tables, of a large set cost in memory and time, without a video being decoded (Linux).

    python benchmarks/prepare_scale.py [--sources 200000] [--flat]

Peak memory of each step above that of the imports, in a process of its own.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from talkingface.data.folder import MANIFEST
from talkingface.prepare.jobs import find_copies, key_of, plan
from talkingface.prepare.layouts import FolderLayout
from talkingface.prepare.manifest import read_rows, write_tables
from talkingface.prepare.records import Clip, Dropped, Outcome, Source
from talkingface.prepare.report import statistics_of
from talkingface.prepare.settings import Settings

CLIPS = 100  # of a person


def make(root: Path, count: int, flat: bool) -> None:
    """Files of random size that take no room; of each 1,000 two are alike."""
    draw = random.Random(0)
    for number in range(count):
        path = root / f"{number:08d}.mp4" if flat else root / f"id{number // CLIPS:06d}" / f"{number:08d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(b"%d" % (number - (number % 1000 == 1)))
            if number % 1000 != 1:
                size = draw.randrange(100_000, 5_000_000)
            file.truncate(size)


def outcomes(count: int) -> Iterator[Outcome]:
    for number in range(count):
        person, digest = f"id{number // CLIPS:06d}", f"{number:064x}"
        clip = Clip(
            *(f"clips/{person}/{number:08d}_000.mp4", person, "train", "", 0, 125, True, f"{person}/{number:08d}.mp4"),
            *(0.0, 10, 10, 256, 160.0, 20.0, 0.0, 0.0, 100.0, -30.0, None, None, None, None, digest, digest),
        )
        yield Outcome((clip,), (Dropped(f"{person}/{number:08d}.mp4", 5.0, 1.0, "length", "shorter than 2 s"),))


def steps(src: Path, dst: Path, count: int) -> dict[str, Callable[[], object]]:
    settings = Settings()

    def sources() -> Iterator[Source]:
        return FolderLayout().sources(src)

    def planning() -> int:
        return sum(1 for job in plan(sources(), src, {}, settings) if key_of(job, src, settings))

    return {
        "walk": lambda: sum(1 for _ in sources()),
        "find copies": lambda: find_copies(sources)[1],
        "plan, keys of jobs": planning,
        "write tables": lambda: write_tables(dst, outcomes(count), {}),
        "read the manifest": lambda: sum(1 for _ in read_rows(dst / MANIFEST)),
        "statistics": lambda: len(statistics_of(dst, count)),
    }


def memory(key: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=200_000)
    parser.add_argument("--flat", action="store_true", help="all in one folder")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step = steps(options.folder / "src", options.folder / "set", options.sources)[options.step]
        before, begun, spent = memory("VmRSS"), time.perf_counter(), time.process_time()
        step()
        wall, spent = time.perf_counter() - begun, time.process_time() - spent
        print(f"  {options.step:20} {memory('VmHWM') - before:7.0f} MB {spent:7.1f} s processor {wall:7.1f} s")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "set").mkdir()
        make(folder / "src", options.sources, options.flat)
        print(f"{options.sources:,} sources, {'in one folder' if options.flat else f'{CLIPS} of a person'}", flush=True)
        for step in steps(folder, folder, 0):
            again = ["--step", step, "--folder", name, "--sources", str(options.sources)]
            subprocess.run([sys.executable, __file__, *again], check=True, env=os.environ)


if __name__ == "__main__":
    main()
