"""What preparing a set costs by stage, in processor seconds a minute of video, and what a pass for each stage would.

python benchmarks/prepare.py CLIP.mp4 … [--min-face 96] [--controls landmarks] [--identity facenet] [--sync]
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from talkingface.core.media import VideoReader, read_audio
from talkingface.metrics.compat.shots import ShotFinder
from talkingface.prepare.choose import Span, choose
from talkingface.prepare.cut import cut
from talkingface.prepare.look import AT_ONCE, look
from talkingface.prepare.networks import Networks, load_networks
from talkingface.prepare.records import Source
from talkingface.prepare.settings import Settings


@contextmanager
def timed(spent: Counter[str], stage: str) -> Iterator[None]:
    begun = time.process_time()
    yield
    spent[stage] += time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--min-face", type=int, default=256)
    parser.add_argument("--controls", default="")
    parser.add_argument("--identity", default="")
    parser.add_argument("--sync", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = {"controls": options.controls, "identity": options.identity, "sync": options.sync}
    settings = Settings(min_face=options.min_face, max_offset=15, min_confidence=-100.0, **asked)
    networks = load_networks(settings, "cpu")
    second = {"": Networks(networks.detect)}
    second |= {" with controls": Networks(networks.detect, controls=networks.controls)} if networks.controls else {}
    second |= {" with sync": Networks(networks.detect, sync=networks.sync)} if networks.sync else {}
    spent: Counter[str] = Counter()
    minutes, made = 0.0, 0
    for path in options.clips:
        with VideoReader(path) as reader, tempfile.TemporaryDirectory() as folder:
            minutes += len(reader) / 1500
            batch = max(1, AT_ONCE // (3 * reader.info.width * reader.info.height))
            with timed(spent, "decoding"):
                for _ in reader.stream(batch):
                    pass
            finder, frames = ShotFinder(), reader.read(range(min(50, len(reader))))
            with timed(spent, "cuts, first 50 frames"):
                for frame in frames:
                    finder.add(frame)
            with timed(spent, "first pass"):
                seen = look(reader, networks.detect, settings)
            if networks.recognize is not None:
                with timed(spent, "first pass with identity"):
                    look(reader, networks.detect, settings, networks.recognize)
            source = Source(path, path.stem, "person")
            wave = read_audio(path) if reader.info.audio else np.zeros(0, np.float32)
            for found in choose(seen, source, path.name, settings):
                if isinstance(found, Span):
                    made += 1
                    for more, used in second.items():
                        with timed(spent, f"second pass{more}"):
                            cut(source, found, wave, path.name, path.stem, settings, Path(folder), used)
    print(f"{len(options.clips)} sources, {minutes:.2f} min, {made} clips; processor seconds a minute of video:")
    for stage, seconds in spent.items():
        print(f"  {stage:25} {seconds / minutes:7.2f}")
    both = spent["first pass"] + spent["second pass"]
    print(f"  both passes               {both / minutes:7.2f}, {60 * made / both:.0f} clips a minute and core")
    naive = both + 2 * spent["decoding"]  # cuts, faces, sharpness, the clip: four instead of two
    print(f"  a pass for each stage     {naive / minutes:7.2f}, {naive / both:.2f} times as much")


if __name__ == "__main__":
    main()
