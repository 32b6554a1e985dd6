"""How fast real clips are read, written and served to training, and what streaming them costs in memory (Linux).

    python benchmarks/loader.py CLIPS [--manifest CSV] [--size 256] [--workers 2] [--batch 8]

CLIPS is a folder of videos. Prints one table for each question; run it on an idle machine.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from talkingface.core.media import VideoReader, VideoWriter
from talkingface.core.media.decoder import PyAVDecoder
from talkingface.core.media.decord_decoder import DecordDecoder
from talkingface.core.media.probe import VideoIndex, index_video
from talkingface.data.folder import ClipFile, scan_folder
from talkingface.data.pairs import PairDataset

CONSOLE = Console()
COPY = """
import sys
from pathlib import Path
from talkingface.core.media import VideoReader, VideoWriter

with VideoReader(sys.argv[1]) as reader, VideoWriter(sys.argv[2], audio=sys.argv[1]) as writer:
    for frames in reader.stream():
        writer.write(frames)
# not getrusage: ru_maxrss of a new process starts with what its parent had
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


DECODERS: dict[str, type[PyAVDecoder | DecordDecoder]] = {"PyAV": PyAVDecoder, "decord": DecordDecoder}


def milliseconds(job: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    job()
    return (clock() - start) * 1e3


def processor_milliseconds(job: Callable[[], object]) -> float:
    """What a job costs whatever else the machine does."""
    return milliseconds(job, time.process_time)


def pairs(clips: list[ClipFile], size: int, workers: int, batch: int) -> None:
    """Pairs per second of the training loader, after the first 10 batches; the process does nothing else."""
    table = Table("workers", "pairs/s", title=f"training pairs at {size} px, batches of {batch}, shuffled")
    for count in sorted({0, workers}):
        data = PairDataset(clips, size, pairs_per_clip=16)
        shuffle = torch.Generator().manual_seed(0)
        batches = iter(DataLoader(data, batch, shuffle=True, generator=shuffle, num_workers=count, drop_last=True))
        list(itertools.islice(batches, 10))
        start, served = time.perf_counter(), 0
        while time.perf_counter() - start < 10 and next(batches, None) is not None:
            served += batch
        table.add_row(str(count), f"{served / (time.perf_counter() - start):.0f}")
        del batches
    CONSOLE.print(table)


def decoders(clips: list[ClipFile], folder: Path) -> None:
    """decord beside PyAV on the plain clips as they are, and written again with a key frame each second."""
    titles = ("key frames", "decoder", "in a row, frames/s", "2 at random, ms", "open + 2 at random, ms")
    table = Table(*titles, title="decoding with one thread, processor time, medians over clips")
    again = []
    for number, clip in enumerate(clips):
        with VideoReader(clip.path) as reader, VideoWriter(folder / f"{number}.mp4") as writer:
            for frames in reader.stream():
                writer.write(frames)
        again.append(folder / f"{number}.mp4")
    for kind, paths in {"as they are": [clip.path for clip in clips], "each second": again}.items():
        indices = [index for index in map(index_video, paths) if index.plain]
        for name, make in DECODERS.items():
            row, places, opening = zip(*(_decoder_times(make, index) for index in indices), strict=True)
            table.add_row(kind, name, *(f"{statistics.median(part):.1f}" for part in (row, places, opening)))
    CONSOLE.print(table)


def _decoder_times(make: type[PyAVDecoder | DecordDecoder], index: VideoIndex) -> tuple[float, float, float]:
    rng, count = np.random.default_rng(0), index.info.frames

    def two() -> list[int]:
        return sorted(rng.choice(count, 2, replace=False).tolist())

    opening = processor_milliseconds(lambda: make(index_video(index.info.path)).read(two()))
    decoder = make(index)
    decoder.read([0])
    places = statistics.mean(processor_milliseconds(lambda: decoder.read(two())) for _ in range(5))
    decoder.close()
    decoder = make(index)
    row = processor_milliseconds(lambda: [decoder.read(range(i, min(i + 16, count))) for i in range(0, count, 16)])
    decoder.close()
    return count / row * 1e3, places, opening


def writing(clips: list[ClipFile], folder: Path) -> None:
    """Frames a second of the H.264 writer, silent and with sound."""
    frames = VideoReader(clips[0].path).read(range(min(100, clips[0].frames)))
    table = Table("size", "sound", "frames/s", title="writing H.264, crf 18")
    for sound in (False, True):
        audio = np.zeros(16000 * 60, np.float32) if sound else None

        def write(audio: np.ndarray | None = audio) -> None:
            with VideoWriter(folder / "written.mp4", audio=audio) as writer:
                for _ in range(5):
                    writer.write(frames)

        rate = 5 * len(frames) / milliseconds(write) * 1e3
        table.add_row(f"{frames.shape[2]}×{frames.shape[1]}", "yes" if sound else "no", f"{rate:.0f}")
    CONSOLE.print(table)


def memory(folder: Path) -> None:
    """Peak memory of reading a clip and writing it again, for 10 and 60 s: it must not grow with the length."""
    table = Table("seconds", "peak, MB", title="read, write and mux 256 px with sound, streamed")
    for seconds in (10, 60):
        path = folder / f"long{seconds}.mp4"
        with VideoWriter(path, audio=np.zeros(16000 * seconds, np.float32)) as writer:
            for frame in _drifting(25 * seconds):
                writer.write(frame)
        job = [sys.executable, "-c", COPY, str(path), str(folder / "copy.mp4")]
        peak = subprocess.run(job, check=True, capture_output=True, text=True).stdout
        table.add_row(str(seconds), f"{int(peak) / 1024:.0f}")
    CONSOLE.print(table)


def _drifting(count: int) -> Iterator[np.ndarray]:
    picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    for shift in range(count):
        yield np.roll(picture, shift, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    clips, summary = scan_folder(options.clips, options.manifest)
    CONSOLE.print(f"{summary}\nscanned in {time.perf_counter() - start:.1f} s")
    pairs(clips, options.size, options.workers, options.batch)
    with tempfile.TemporaryDirectory() as name:
        decoders(clips[:: max(1, len(clips) // 40)], Path(name))
        writing(clips, Path(name))
        memory(Path(name))


if __name__ == "__main__":
    main()
