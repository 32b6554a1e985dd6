"""Peak memory of ``animate`` against the length of the driving video: it must not grow.

    python benchmarks/animate_memory.py [--size 128] [--seconds 10 60]

A small model with random weights stands in for a trained one. Each length runs in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def make_clip(path: Path, seconds: int, size: int) -> None:
    """Moving noise with a tone."""
    from talkingface.core.media import VideoWriter

    draw = np.random.default_rng(0)
    texture = draw.integers(0, 255, (size // 8, size // 8 + 25, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    tone = np.sin(np.arange(seconds * 16000) * 0.1).astype(np.float32) * 0.3
    with VideoWriter(path, audio=tone) as writer:
        for second in range(seconds):
            shifts = [(second * 25 + frame) % 200 for frame in range(25)]
            writer.write(np.stack([texture[:, shift : shift + size] for shift in shifts]))


def one_run(clip: str, size: int) -> dict[str, float]:
    """Animate and measure, in this process."""
    import torch

    import talkingface
    from talkingface.motion import LatentMotion
    from talkingface.renderers import LIARenderer

    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = LatentMotion(size=size, width=0.125, code_dim=64)
    animator = talkingface.Animator(encoder, LIARenderer(encoder, size=size, width=0.125), device="cpu")
    start = time.perf_counter()
    animation = animator.animate(np.full((size, size, 3), 128, np.uint8), driving=clip)
    with tempfile.TemporaryDirectory() as folder:
        animation.save(Path(folder) / "out.mp4")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    return {"frames": len(animation), "seconds": seconds, "peak_mib": peak}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="side of the pictures, in pixels")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60], help="lengths of the driving video")
    parser.add_argument("--clip", help=argparse.SUPPRESS)  # the child process
    options = parser.parse_args()
    if options.clip:
        sys.stdout.write(json.dumps(one_run(options.clip, options.size)) + "\n")
        return
    sys.stdout.write(f"{options.size} px\n{'driving':>8} {'frames':>7} {'frames/s':>9} {'peak MiB':>9}\n")
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            clip = Path(folder) / f"{seconds}.mp4"
            make_clip(clip, seconds, options.size)
            command = [sys.executable, __file__, "--clip", str(clip), "--size", str(options.size)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            run = json.loads(answer.splitlines()[-1])
            peaks.append(run["peak_mib"])
            rate = run["frames"] / run["seconds"]
            sys.stdout.write(f"{seconds:>6} s {run['frames']:>7} {rate:>9.1f} {run['peak_mib']:>9.0f}\n")
    sys.stdout.write(f"longest against shortest: {100 * (peaks[-1] / peaks[0] - 1):+.1f} %\n")


if __name__ == "__main__":
    main()
