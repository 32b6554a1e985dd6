"""Training: a random step's noise is to be recognised (Ho et al. 2020, algorithm 1)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from talkingface.diffusion.schedule import NoiseSchedule


@dataclass(frozen=True)
class NoisedMotion:
    """What a noise predictor is shown, and what it should answer.

    Args:
        noised: signal and noise mixed, ``(B, ...)``.
        step: how far, ``(B,)`` int64 in ``[0, T)``.
        noise: the answer, ``(B, ...)``.
    """

    noised: Tensor
    step: Tensor
    noise: Tensor


def standard_normal(like: Tensor, generator: Generator | None = None) -> Tensor:
    """Normal noise of a tensor's shape, type and device.

    Args:
        like: the tensor.
        generator: draws on its own device, so that one on the CPU gives every machine the same noise.
    """
    device = like.device if generator is None else generator.device
    return torch.randn(like.shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def training_pair(schedule: NoiseSchedule, signal: Tensor, generator: Generator | None = None) -> NoisedMotion:
    """Noise each signal of a batch to a step of its own, all steps equally likely.

    Args:
        schedule: how much noise a step has.
        signal: ``(B, ...)``, about in ``[-1, 1]``.
        generator: draws steps, then noise; torch's own when not given.
    """
    device = signal.device if generator is None else generator.device
    step = torch.randint(schedule.steps, signal.shape[:1], device=device, generator=generator).to(signal.device)
    noise = standard_normal(signal, generator)
    return NoisedMotion(schedule.noised(signal, noise, step), step, noise)
