"""Several ways to compute one thing, measured in turns within one run, because machines are noisy."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Run = Callable[[], Tensor]


@dataclass
class Variant:
    """One way to compute one thing.

    Args:
        group: variants of one group are compared; the first is the yardstick.
        name: what the table calls it.
        run: computes it once.
        frames: pictures made by one run.

    Attributes:
        clock, processor: seconds a frame of each round that counts; processor time is that of all threads together.
        output: of the last round.
        failure: why this machine cannot run it.
    """

    group: str
    name: str
    run: Run
    frames: int = 1
    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    output: Tensor | None = None
    failure: str = ""


def measure(measured: Sequence[Variant], rounds: int) -> None:
    """Run all variants in turn, with one round before that warms up and compiles."""
    with torch.inference_mode():
        for turn in range(rounds + 1):
            for variant in measured:
                if variant.failure:
                    continue
                clock, processor = time.perf_counter(), time.process_time()
                try:
                    variant.output = variant.run().float()
                except RuntimeError as error:  # torch.compile without a compiler
                    variant.failure = str(error).strip().splitlines()[0][:60]
                    continue
                if turn:
                    variant.processor.append((time.process_time() - processor) / variant.frames)
                    variant.clock.append((time.perf_counter() - clock) / variant.frames)


def table(
    measured: Sequence[Variant],
    widths: tuple[int, int],
    heading: str,
    figures: Callable[[Variant, Variant, Tensor], str],
) -> str:
    """A line a variant, group by group.

    Args:
        measured: variants of a group one after the other.
        widths: of the names of groups and of variants.
        heading: of the figures.
        figures: of a variant beside the yardstick of its group, and the difference of their results.
    """
    first, second = widths
    lines = [" " * (first + second) + heading]
    for variant, yardstick in _with_yardstick(measured):
        names = f"{variant.group if variant is yardstick else '':{first}}{variant.name:{second}}"
        if variant.output is None or yardstick.output is None:
            lines.append(f"{names}  not here: {variant.failure}")
        else:
            lines.append(names + figures(variant, yardstick, variant.output - yardstick.output))
    return "\n".join(lines)


def _with_yardstick(measured: Sequence[Variant]) -> Iterator[tuple[Variant, Variant]]:
    yardstick = measured[0]
    for variant in measured:
        yardstick = yardstick if variant.group == yardstick.group else variant
        yield variant, yardstick
