"""Speed of the diffusion generator beside the plain loop: ``python benchmarks/generator.py [--frames 125]``.

Both at the paper's size, from HuBERT features of the given number of frames. The plain loop does what the published
code does: at every step it runs the speech Conformer, the variance adapter and the position table again. Ours runs them
once. One thread, processor time, which other programs disturb less than the clock; all variants take turns within one
run, a figure is the fastest of several rounds, and ratios are what to compare. Weights are random: speed does not care,
but fewer steps and half precision then go far astray, so their differences say nothing about trained ones.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from talkingface.audio import HubertSpeech
from talkingface.core.records import Condition
from talkingface.diffusion import sample_ddim, standard_normal
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LatentMotion

ROUNDS = 3
PAPER_STEPS = 50
FEWER_STEPS = (25, 10, 5)


def variants(frames: int, attributes: tuple[str, ...]) -> dict[str, Callable[[], Tensor]]:
    """Name → makes one motion ``(1, T, 20)`` from features; the first is the yardstick."""
    torch.manual_seed(0)
    speech = HubertSpeech().eval()
    encoder = LatentMotion().eval()
    model = ConformerDiffusion(encoder, speech, attributes=attributes).eval()
    features = torch.randn(1, speech.layers, 2 * frames, speech.channels)
    still = Condition(torch.empty(1, frames, speech.dim), torch.randn(1, 20), torch.randn(1, 512))

    def told() -> Condition:
        return replace(still, audio=speech(features, frames))

    def seed() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def plain(steps: int) -> Tensor:
        noise = standard_normal(torch.empty(1, frames, 20), seed())
        return sample_ddim(
            lambda noised, step: model.noise_predictor(told())(noised, step), noise, model.schedule, steps
        )

    def ours(steps: int) -> Tensor:
        return model.sample(told(), seed(), steps=steps)

    def ours_in_half() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return ours(PAPER_STEPS)

    return {
        f"plain loop, {PAPER_STEPS} steps": lambda: plain(PAPER_STEPS),
        f"ours, {PAPER_STEPS} steps": lambda: ours(PAPER_STEPS),
        f"ours, {PAPER_STEPS} steps, bfloat16": ours_in_half,
        **{f"ours, {steps} steps": lambda steps=steps: ours(steps) for steps in FEWER_STEPS},  # type: ignore[misc]
    }


@torch.inference_mode()
def measure(measured: dict[str, Callable[[], Tensor]]) -> str:
    """Table: seconds, frames a second, times faster than the yardstick, largest difference from it."""
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    outputs = {}
    for turn in range(ROUNDS + 1):
        for name, run in measured.items():
            start = time.process_time()
            outputs[name] = run().float()
            if turn:  # the first round warms up
                seconds[name].append(time.process_time() - start)
    yardstick = next(iter(measured))
    lines = [f"{'':28}{'seconds':>9}{'frames/s':>10}{'faster':>9}{'max difference':>17}"]
    for name, times in seconds.items():
        best = min(times)
        difference = (outputs[name] - outputs[yardstick]).abs().max()
        faster = min(seconds[yardstick]) / best
        lines.append(f"{name:28}{best:9.2f}{outputs[name].shape[1] / best:10.0f}{faster:8.2f}x{difference:17.1e}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=125, help="frames of motion; 25 are a second")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{arguments.frames} frames, 1 thread, torch {torch.__version__}, fastest of {ROUNDS} rounds, processor time")
    for title, attributes in (("speech alone", ()), ("full control", ("location", "scale", "pose"))):
        print(f"\n{title}\n{measure(variants(arguments.frames, attributes))}")


if __name__ == "__main__":
    main()
