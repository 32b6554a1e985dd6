"""How much noise each step has, and which steps a fast sampler takes (Ho et al. 2020; Nichol and Dhariwal 2021)."""

import torch
from torch import Tensor

from talkingface.core.errors import ConfigError

STEPS = 1000  # T of the paper
FIRST_BETA, LAST_BETA = 1e-4, 0.02  # Ho et al. 2020, section 4


class NoiseSchedule:
    """Variances that grow linearly from step to step.

    Tables are float64, because products of a thousand factors near 1 lose digits in float32.

    Args:
        steps: number of steps T of the forward process.

    Attributes:
        alpha_bar: share of the signal's variance that is left at each step, ``(T,)``, from almost 1 to almost 0.

    Raises:
        ConfigError: when there is no step.
    """

    def __init__(self, steps: int = STEPS) -> None:
        if steps < 1:
            raise ConfigError(f"diffusion needs at least one step, got {steps}.")
        self.steps = steps
        self.alpha_bar = torch.cumprod(1 - torch.linspace(FIRST_BETA, LAST_BETA, steps, dtype=torch.float64), dim=0)

    def noised(self, signal: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """The signal as it is after some steps: ``sqrt(alpha_bar) signal + sqrt(1 - alpha_bar) noise``.

        Args:
            signal, noise: ``(B, ...)``.
            step: ``(B,)`` int64 in ``[0, T)``.

        Returns:
            ``(B, ...)``.
        """
        kept = self.alpha_bar.to(step.device)[step].reshape(-1, *[1] * (signal.ndim - 1))
        return kept.sqrt().to(signal.dtype) * signal + (1 - kept).sqrt().to(signal.dtype) * noise


def strided_steps(count: int, total: int = STEPS) -> range:
    """Steps ``0, i, 2 i, …`` below ``total``, with the smallest stride i that gives exactly ``count`` of them.

    Args:
        count: how many steps the sampler takes; at least 2, because step 0 alone has no noise to remove.
        total: steps of the forward process.

    Returns:
        The steps, ascending; a sampler walks them backwards.

    Raises:
        ConfigError: for a count that no stride gives; the nearest possible ones are named.

    >>> strided_steps(50)
    range(0, 1000, 20)
    >>> strided_steps(60)
    Traceback (most recent call last):
    talkingface.core.errors.ConfigError: 60 steps do not divide 1000 evenly. Take 59 or 63.
    """
    possible = {-(-total // stride): stride for stride in range(total - 1, 0, -1)}  # the smallest stride comes last
    if count not in possible:
        below = [str(known) for known in possible if known < count][-1:]
        above = [str(known) for known in possible if known > count][:1]
        raise ConfigError(f"{count} steps do not divide {total} evenly. Take {' or '.join(below + above)}.")
    return range(0, total, possible[count])
