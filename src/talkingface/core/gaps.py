"""Frames of which nothing is known."""

import torch
from torch import Tensor


def filled(motion: Tensor, before: Tensor | None = None) -> Tensor:
    """Let what is known go on where frames are unknown.

    Args:
        motion: ``(T, D)``; a frame with NaN is unknown.
        before: the frame before the first, ``(1, D)``; without one, unknown frames at the beginning are as the first
            that is known.

    Returns:
        ``(T, D)``; NaN only where nothing is known at all.

    >>> filled(torch.tensor([[torch.nan], [1.0], [torch.nan], [2.0]])).flatten().tolist()
    [1.0, 1.0, 1.0, 2.0]
    """
    known = ~motion.isnan().any(-1)
    if before is None and known.any():
        before = motion[known][:1]
    if before is None or known.all():
        return motion
    place = torch.arange(len(motion), device=motion.device)
    latest = torch.where(known, place, -1).cummax(0).values
    return torch.where(latest[:, None] < 0, before, motion[latest.clamp(min=0)])
