"""Fewer steps of the sampler: what they save and what they change, for a trained model.

    python benchmarks/sampler_steps.py DIR [--speech FILE] [--source FILE] [--steps 50 25 20 10 5 2] [--seeds 3]

Every number of steps starts from the same noise and goes on from its own motion, as ``animate --audio`` does. Beside
the first number of steps: how far motion is off (root mean square, over the deviation of the first one's motion), and
how wide it spreads and how fast it goes (1 is as the first). The last line is the yardstick: the first number of steps
with other seeds. Where the motion has named parts, expression stands beside all. On a CPU one thread and its processor
time, which other programs disturb less than the clock.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from speech import make_speech
from torch import Tensor

import talkingface
from talkingface.core.media import read_audio


def drawn(
    animator: talkingface.Animator, portrait: Path | NDArray[np.uint8], wave: NDArray[np.float32], steps: int, seed: int
) -> tuple[Tensor, float]:
    """Motion ``(T, D)`` of a speech, and the seconds that it took."""
    track = animator.animate(portrait, audio=wave, steps=steps, seed=seed, crop="none").motion
    clock = time.process_time if animator.device.type == "cpu" else time.perf_counter
    start = clock()
    motion = torch.cat(list(track.stream(125))).cpu()
    return motion, clock() - start


def differences(motions: list[Tensor], wanted: list[Tensor]) -> tuple[float, float, float]:
    """Off, spread and pace of motions beside those wanted, each ``(T, D)``; means over the seeds."""

    def power(motion: Tensor) -> Tensor:
        return motion.square().mean().sqrt()

    off = [power(one - other) / power(other - other.mean(0)) for one, other in zip(motions, wanted, strict=True)]
    spread = [
        power(one - one.mean(0)) / power(other - other.mean(0)) for one, other in zip(motions, wanted, strict=True)
    ]
    pace = [power(one.diff(dim=0)) / power(other.diff(dim=0)) for one, other in zip(motions, wanted, strict=True)]
    return tuple(float(torch.stack(values).mean()) for values in (off, spread, pace))  # type: ignore[return-value]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", help="model folder with both stages")
    add("--speech", help="what is said (default: 10 s of a buzz like syllables)")
    add("--source", type=Path, help="portrait (default: grey)")
    add("--steps", type=int, nargs="+", default=[50, 25, 20, 10, 5, 2], help="the first is what others are beside")
    add("--seeds", type=int, default=3, help="over which figures are averaged")
    add("--device", default="cpu", help="where to compute")
    options = parser.parse_args()
    torch.set_num_threads(1)
    animator = talkingface.load(options.model, options.device)
    with tempfile.TemporaryDirectory() as folder:
        if not options.speech:
            make_speech(Path(folder) / "speech.wav", 10)
        wave = read_audio(options.speech or Path(folder) / "speech.wav")
    portrait = options.source or np.full((animator.renderer.size,) * 2 + (3,), 128, np.uint8)
    spec = animator.motion_encoder.spec
    parts = {"all": slice(None), **({"expression": spec.slice("expression")} if "expression" in spec.slices else {})}
    seconds, seeds = len(wave) / 16000, range(options.seeds)
    drawn(animator, portrait, wave, options.steps[0], 0)  # warms up

    heads = "".join(f"{f'{name}: off':>16}{'spread':>8}{'pace':>7}" for name in parts)
    sys.stdout.write(f"{seconds:.1f} s of speech on {animator.device}, {options.seeds} seeds\n")
    sys.stdout.write(f"{'steps':>12}{'s a second':>12}{'faster':>8}{heads}\n")

    def row(title: str, motions: list[Tensor], wanted: list[Tensor], taken: float) -> str:
        cells = ""
        for part in parts.values():
            off, spread, pace = differences([m[:, part] for m in motions], [m[:, part] for m in wanted])
            cells += f"{off:>16.3f}{spread:>8.3f}{pace:>7.3f}"
        return f"{title:>12}{taken / seconds:>12.4f}{slowest / taken:>7.1f}x{cells}\n"

    wanted: list[Tensor] = []
    slowest = 0.0
    for steps in options.steps:
        runs = [drawn(animator, portrait, wave, steps, seed) for seed in seeds]
        motions, taken = [motion for motion, _ in runs], min(seconds_ for _, seconds_ in runs)
        wanted, slowest = wanted or motions, slowest or taken
        sys.stdout.write(row(str(steps), motions, wanted, taken))
        sys.stdout.flush()
    others = [drawn(animator, portrait, wave, options.steps[0], options.seeds + seed)[0] for seed in seeds]
    sys.stdout.write(row("other seeds", others, wanted, slowest))


if __name__ == "__main__":
    main()
