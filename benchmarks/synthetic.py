"""Frames a second of the synthetic talking heads on one core: python benchmarks/synthetic.py"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its matrix products would take every core

import time

from rich.console import Console
from rich.table import Table

from talkingface.data.synthetic import render_clip
from talkingface.data.synthetic.model import build_model

FRAMES = 100
PEOPLE = 4


def main() -> None:
    """Print processor time a frame for the usual sizes, after the identities are built."""
    started = time.process_time()
    for person in range(PEOPLE):
        build_model(person)
    built = (time.process_time() - started) / PEOPLE
    table = Table(
        "pixels", "frames/s", "frames/s with speech", title=f"one core; an identity is built in {built:.2f} s"
    )
    for size in (64, 96, 128, 256):
        rates = []
        for audio in (False, True):
            started = time.process_time()
            for person in range(PEOPLE):
                render_clip(person, 0, FRAMES, size, audio=audio)
            rates.append(PEOPLE * FRAMES / (time.process_time() - started))
        table.add_row(str(size), *(f"{rate:.0f}" for rate in rates))
    Console().print(table)


if __name__ == "__main__":
    main()
