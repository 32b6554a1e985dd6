"""A portrait that speaks live: how late its frames are, whether it keeps up, drifts, grows, or leaves the offline path.

    python benchmarks/streaming.py [--model DIR] [--seconds 60] [--hop 8] [--lookahead 5] [--context 25] [--ahead N]
                                   [--steps 10] [--chunk 640] [--device cpu] [--speech FILE] [--source FILE]

Samples arrive as fast as they are spoken, by a clock that is counted and not waited for: a chunk is taken when it is
there and the one before is done, and computing takes the time that it takes here. A frame is late by what passes from
its own 40 ms of sound until it is drawn; the formula gives what it waits for sound, the rest is computing. Without a
model, a small one with random weights shows speed and memory. On a CPU one thread and its processor time, which other
programs disturb less than the clock.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from speech import RATE, make_speech, random_model

import talkingface
from talkingface.core.media import read_audio
from talkingface.pipelines.streaming import SpeechStream
from talkingface.pipelines.windows import LivePlan

BIN = 0.04  # seconds, of the histogram
BAR = 50  # characters of its longest bar


def run(
    stream: SpeechStream, wave: NDArray[np.float32], chunk: int, clock: Callable[[], float]
) -> dict[str, NDArray[np.float64]]:
    """Speak: seconds that each frame is late, seconds to compute each window, samples held; all by their time."""
    late: list[float] = []
    work: list[float] = []
    held: list[int] = []
    free = 0.0  # when the last chunk was done

    def take(spoken: float, frames: NDArray[np.uint8], taken: float) -> None:
        nonlocal free
        free = max(free, spoken) + taken
        late.extend(free - (len(late) + 1) / 25 for _ in frames)
        if len(frames):
            work.append(taken)
        held.append(stream.motion.features.held[0])

    for first in range(0, len(wave), chunk):
        part = wave[first : first + chunk]
        start = clock()
        frames = stream.push(part)
        take((first + len(part)) / RATE, frames, clock() - start)
    start = clock()
    frames = stream.finish()
    take(len(wave) / RATE, frames, clock() - start)
    return {"late": np.array(late), "work": np.array(work), "held": np.array(held, float)}


def motions(
    animator: talkingface.Animator,
    portrait: Path | NDArray[np.uint8],
    wave: NDArray[np.float32],
    plan: LivePlan,
    steps: int,
    ahead: int | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Live and offline motion ``(T, D)`` with the same windows."""
    live = SpeechStream(animator, portrait, steps=steps, crop="none", plan=plan, ahead=ahead).motion
    sound = torch.from_numpy(wave).to(animator.device)
    parts = [*(live.push(second) for second in sound.split(RATE)), live.finish()]
    track = animator.animate(portrait, audio=wave, steps=steps, crop="none").motion
    track.windows = plan.windows(len(track))  # type: ignore[attr-defined]
    return torch.cat(parts).cpu(), torch.cat(list(track.stream(8))).cpu()


def report(stream: SpeechStream, found: dict[str, NDArray[np.float64]], hop: int) -> str:
    """What came of it, in words and a histogram."""
    late, work, held = found["late"], found["work"], found["held"]
    frames, third = len(late), max(1, len(held) // 3)
    lines = [
        f"{frames} frames, {frames / work.sum():.0f} a second from sound to picture; "
        f"real-time factor {work.sum() * 25 / frames:.3f}",
        f"a window of {hop} frames ({40 * hop} ms of speech): median {1000 * np.median(work):.0f} ms, "
        f"95 % below {1000 * np.quantile(work, 0.95):.0f} ms, longest {1000 * work.max():.0f} ms",
        f"late at most by the formula {1000 * stream.delay:.0f} ms and computing; measured: median "
        f"{1000 * np.median(late):.0f} ms, 95 % below {1000 * np.quantile(late, 0.95):.0f} ms, at most "
        f"{1000 * late.max():.0f} ms; the first frame {1000 * (late[0] + 0.04):.0f} ms after the first sample",
        f"sound held: at most {held[:third].max() / RATE:.1f} s in the first third, "
        f"{held[-third:].max() / RATE:.1f} s in the last; "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB",  # Linux counts in KiB
        "frames by how late they are:",
    ]
    numbers = np.floor(late / BIN).astype(int)
    counts = np.bincount(np.maximum(numbers, 0))
    for number in range(counts.nonzero()[0][0], len(counts)):
        bar = "#" * round(BAR * counts[number] / counts.max())
        lines.append(f"{1000 * BIN * number:>6.0f} ms {counts[number]:>6} {bar}")
    return "\n".join(lines)


def compared(live: torch.Tensor, offline: torch.Tensor, plan: LivePlan) -> str:
    """How near the two are, how windows join, and how the minutes of the live one differ."""
    off = (live - offline).square().mean().sqrt() / offline.std(0).square().mean().sqrt()
    steps = live.diff(dim=0).norm(dim=-1)
    joints = steps[plan.hop - 1 :: plan.hop]
    lines = [
        f"beside the offline path: off by {off:.1e} of the motion's deviation (root mean square)",
        f"where windows join, steps of the motion are {joints.median() / steps.median():.2f} times the median step, "
        f"at most {joints.max() / steps.median():.2f} times; anywhere at most {steps.max() / steps.median():.2f} times",
    ]
    minutes = live.split(60 * 25)
    if len(minutes) > 1 and len(minutes[-1]) == len(minutes[0]):
        spread = minutes[0].std(0).square().mean().sqrt()
        shift = (minutes[-1].mean(0) - minutes[0].mean(0)).square().mean().sqrt() / spread
        wider = minutes[-1].std(0).square().mean().sqrt() / spread
        lines.append(f"last minute against the first: mean off by {shift:.3f} deviations, deviation {wider:.3f} times")
    return "\n".join(lines)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", help="model folder (default: a small one with random weights)")
    add("--speech", help="what is said (default: a buzz like syllables)")
    add("--source", type=Path, help="portrait (default: grey)")
    add("--seconds", type=int, default=60, help="of speech; it is repeated or cut")
    add("--hop", type=int, default=8, help="frames that a window adds")
    add("--lookahead", type=int, default=5, help="frames of speech behind them")
    add("--context", type=int, default=25, help="frames before them")
    add("--ahead", type=int, help="frames of sound that features wait for (default: all that they depend on)")
    add("--steps", type=int, default=10, help="of the sampler")
    add("--chunk", type=int, default=640, help="samples that arrive together")
    add("--device", default="cpu", help="where to compute")
    options = parser.parse_args()
    torch.set_num_threads(1)
    animator = talkingface.load(options.model, options.device) if options.model else random_model()
    with tempfile.TemporaryDirectory() as folder:
        if not options.speech:
            make_speech(Path(folder) / "speech.wav", 10)
        wave = np.resize(read_audio(options.speech or Path(folder) / "speech.wav"), options.seconds * RATE)
    side = animator.renderer.size
    portrait = options.source or np.full((side, side, 3), 128, np.uint8)
    plan = LivePlan(options.hop, options.lookahead, options.context)
    steps, ahead = options.steps, options.ahead
    clock = time.process_time if animator.device.type == "cpu" else time.perf_counter
    warm, stream = (
        SpeechStream(animator, portrait, crop="none", plan=plan, steps=steps, ahead=ahead) for _ in range(2)
    )
    warm.push(wave[: 4 * RATE])
    sys.stdout.write(
        f"{side} px on {animator.device}, {options.seconds} s of speech in chunks of {options.chunk} samples, {plan}, "
        f"{stream.motion.features.ahead} frames heard ahead, {options.steps} steps\n"
    )
    sys.stdout.write(report(stream, run(stream, wave, options.chunk, clock), options.hop) + "\n")
    sys.stdout.write(compared(*motions(animator, portrait, wave, plan, steps, ahead), plan) + "\n")


if __name__ == "__main__":
    main()
