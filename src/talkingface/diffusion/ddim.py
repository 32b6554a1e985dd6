"""Sampling in few steps without further noise (Song et al. 2021, "Denoising diffusion implicit models")."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError
from talkingface.diffusion.schedule import NoiseSchedule, strided_steps


def check_prefix(prefix: Tensor, shape: torch.Size) -> None:
    """Refuse a known beginning that does not fit what is to be made.

    Args:
        prefix: ``(B, K, D)``.
        shape: ``(B, T, D)`` of the whole.

    Raises:
        ShapeError: when batch or width differ, or no frame is left to make (K < T).
    """
    batch, frames, width = shape
    check_shape(prefix, (batch, "K", width), "prefix")
    if prefix.shape[1] >= frames:
        raise ShapeError(f"a prefix of {prefix.shape[1]} frames leaves nothing to make in {frames} frames.")


def sample_ddim(
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    schedule: NoiseSchedule,
    steps: int,
    *,
    prefix: Tensor | None = None,
) -> Tensor:
    """Turn noise into a signal in ``[-1, 1]`` (equation 12 with eta 0).

    At each step the signal is guessed from the predicted noise and clipped, and the noise that fits the clipped guess
    goes on to the next step. All randomness lies in the noise given.

    A known beginning is imposed at every step, noised to that step with the noise that it started from, so that the
    rest grows to fit it (replacement, Song et al. 2021, "Score-based generative modeling", appendix I.2).

    Args:
        predict: signal with noise ``(B, T, D)`` and step ``(B,)`` int64 → the noise in it ``(B, T, D)``.
        noise: standard normal, ``(B, T, D)``.
        schedule: what the predictor was trained with.
        steps: how many of the schedule's steps are taken, see :func:`strided_steps`.
        prefix: known values ``(B, K, D)`` of the first K frames, K < T; returned exactly.

    Returns:
        ``(B, T, D)``.

    Raises:
        ConfigError: for a number of steps that no stride gives.
        ShapeError: when the prefix does not fit the noise or leaves nothing to sample.
    """
    known = 0
    if prefix is not None:
        check_prefix(prefix, noise.shape)
        known = prefix.shape[1]
    walk = strided_steps(steps, schedule.steps)[::-1]
    kept = [float(schedule.alpha_bar[step]) for step in walk] + [1.0]  # of the signal's variance; all of it at the end
    signal = noise
    for index, number in enumerate(walk):
        step = torch.full(noise.shape[:1], number, device=noise.device)
        if prefix is not None:
            begin = schedule.noised(prefix.to(noise.dtype), noise[:, :known], step)
            signal = torch.cat([begin, signal[:, known:]], dim=1)
        now, after = kept[index], kept[index + 1]
        gain, share = math.sqrt(1 / now), math.sqrt(1 / now - 1)
        clean = (gain * signal - share * predict(signal, step).to(signal.dtype)).clamp(-1, 1)
        direction = (gain * signal - clean) / share
        signal = math.sqrt(after) * clean + math.sqrt(1 - after) * direction
    return signal if prefix is None else torch.cat([prefix.to(signal.dtype), signal[:, known:]], dim=1)
