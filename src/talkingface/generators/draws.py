"""Which clips of a batch training treats differently: withheld speech or emotion, another start, a closed mouth."""

import torch
from torch import Generator, Tensor


def drawn(share: float, clips: Tensor, generator: Generator | None) -> Tensor:
    """Draw a share of the clips of a batch.

    Args:
        share: of them, in ``[0, 1]``.
        clips: ``(B, ...)``.
        generator: of the draws; torch's own when not given.

    Returns:
        Bool ``(B,)``, on the clips' device.
    """
    device = clips.device if generator is None else generator.device
    return torch.rand(len(clips), device=device, generator=generator).to(clips.device) < share
