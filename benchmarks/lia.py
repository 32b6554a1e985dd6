"""Speed of the LIA parts beside the plain formulas, at the published width: ``python benchmarks/lia.py``.

All variants take turns within one run, because machines are noisy; a figure is the fastest of several rounds, and
ratios are what to compare. Weights are random: speed does not depend on them.
"""

import argparse
from collections.abc import Callable

import plain_lia
import torch
from torch import Tensor
from turns import Variant, measure, table

from talkingface.core.records import Source
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer

ROUNDS = 3
BATCH = 8
TRUNK_RUNS_OF_REFERENCE_DEMO = 4  # it passes the portrait in each of four roles


def variants(size: int, frames: int) -> list[Variant]:
    """Everything that is measured."""
    torch.manual_seed(0)
    encoder = LatentMotion(size=size, hal=False, decouple=False).eval()
    renderer = LIARenderer(encoder, size=size).eval()
    for level in renderer.levels:  # flow as large as in a trained network, so that warping reads all over the picture
        level.to_flow.weight.data.mul_(10)
    plain = plain_lia.published_weights(encoder, renderer, size)
    # Ours is channels-last; of the plain formulas only the encoder can be: their renderer folds the batch away.
    last = {n: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for n, t in plain.items()}
    portrait, driving = torch.rand(1, 3, size, size) * 2 - 1, torch.rand(frames, 3, size, size) * 2 - 1
    with torch.inference_mode():
        source = renderer.appearance(portrait)
        code, _, pyramid = plain_lia.encode(plain, portrait)
    motion = torch.randn(frames, 20)
    compiled = torch.compile(renderer)

    def half(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def in_half() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return run()

        return in_half

    def render(network: Callable[[Source, Tensor], object], batch: int) -> Callable[[], Tensor]:
        return lambda: torch.cat([network(source, part).image for part in motion.split(batch)])  # type: ignore[attr-defined]

    def render_plainly(batch: int) -> Callable[[], Tensor]:
        return lambda: torch.cat([plain_lia.render(plain, code, pyramid, part) for part in motion.split(batch)])

    def encode_plainly() -> Tensor:
        return torch.stack([plain_lia.encode(plain, portrait)[0] for _ in range(TRUNK_RUNS_OF_REFERENCE_DEMO)])[0]

    measured = [
        Variant("encode the portrait", "plain formulas, 4 runs", encode_plainly),
        Variant("encode the portrait", "ours, 1 run", lambda: renderer.appearance(portrait).identity),
        Variant("motion of a frame", "plain formulas", lambda: plain_lia.encode(plain, driving[:1])[1]),
        Variant("motion of a frame", "plain, channels-last", lambda: plain_lia.encode(last, driving[:1])[1]),
        Variant("motion of a frame", "ours", lambda: encoder(driving[:1])),
        Variant("motion of a frame", "ours, bfloat16", half(lambda: encoder(driving[:1]))),
    ]
    for batch in (1, BATCH):
        group = f"render, batch {batch}"
        measured += [
            Variant(group, "plain formulas", render_plainly(batch), frames),
            Variant(group, "ours", render(renderer, batch), frames),
            Variant(group, "ours, bfloat16", half(render(renderer, batch)), frames),
            Variant(group, "ours, torch.compile", render(compiled, batch), frames),
        ]
    return measured


def figures(variant: Variant, yardstick: Variant, difference: Tensor) -> str:
    """Milliseconds a frame, times faster than the yardstick, largest difference from its result."""
    ratio, milliseconds = min(yardstick.clock) / min(variant.clock), 1000 * min(variant.clock)
    return f"{milliseconds:10.1f}{ratio:8.2f}x{difference.abs().max():17.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=256, help="side of the pictures in pixels")
    parser.add_argument("--frames", type=int, default=8, help="frames that one round renders")
    arguments = parser.parse_args()
    measured = variants(arguments.size, arguments.frames)
    measure(measured, ROUNDS)
    print(
        f"{arguments.size} px, {torch.get_num_threads()} threads, torch {torch.__version__}, fastest of {ROUNDS} rounds"
    )
    print(table(measured, (22, 26), f"{'ms/frame':>10}{'faster':>9}{'max difference':>17}", figures))


if __name__ == "__main__":
    main()
