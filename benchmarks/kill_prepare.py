"""Kill a run of prepare at moments spread over the whole of it, go on, and compare every byte with an undisturbed run.

    python benchmarks/kill_prepare.py RAW FOLDER [--kills 10] [--engine ray] [prepare's own options …]

Each kill waits until a share of the outcomes is there, and a random while more. Exit 1 when the sets differ.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from talkingface.weights import sha256


def hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): sha256(path) for path in files}


def outcomes(dst: Path) -> int:
    return len(list((dst / "work").glob("*/*.json")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    options, more = parser.parse_known_args()
    command = [sys.executable, "-m", "talkingface", "prepare", "folder", str(options.raw)]
    whole, killed = options.folder / "whole" / "set", options.folder / "killed" / "set"  # the page says the name
    if not (whole / "index.html").is_file():
        subprocess.run([*command, str(whole), *more], check=True, stdout=subprocess.DEVNULL)
    total, draw = outcomes(whole), random.Random(0)
    for number in range(options.kills):
        wanted = round(number * total / options.kills)
        run = subprocess.Popen([*command, str(killed), *more], stdout=subprocess.DEVNULL)
        while outcomes(killed) < wanted and run.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 3))
        run.send_signal(signal.SIGKILL)
        ended = run.wait()
        left = sum(1 for _ in killed.rglob(".*.part*"))
        print(
            f"kill {number}: exit {ended}, {outcomes(killed)} of {total} outcomes, {left} half-written files",
            flush=True,
        )
    subprocess.run([*command, str(killed), *more], check=True, stdout=subprocess.DEVNULL)
    same = hashes(whole) == hashes(killed)
    print(f"{len(hashes(whole))} files, {'all alike' if same else 'NOT alike'}")
    sys.exit(not same)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
