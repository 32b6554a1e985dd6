"""Hierarchical Aggregation Layer: one code from all depths of the image encoder (AniTalker, section 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from talkingface.core.nn import EqualLinear


class HierarchicalAggregation(nn.Module):
    """``m = sum_i softmax(w)_i * m_i`` over the average-pooled outputs m_i of all stages.

    Stages whose width is not the code's are lifted to it by a linear layer (released network: 64, 128, 256 → 512).

    Args:
        channels: channels of the stages, in the order in which they are given to :meth:`forward`.
        code_dim: width of the code.
    """

    def __init__(self, channels: Sequence[int], code_dim: int) -> None:
        super().__init__()
        self.lifts = nn.ModuleList(
            nn.Identity() if width == code_dim else EqualLinear(width, code_dim) for width in channels
        )
        self.weights = nn.Parameter(torch.zeros(len(channels)))
        # The last stage starts with about half of the weight (published: at random). It alone is not pooled and knows
        # where things are; drowned in pooled stages, a small model finds motion hundreds of steps later or not at all.
        with torch.no_grad():
            self.weights[-1] = 2.0

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps ``(B, C_i, h_i, w_i)`` → code ``(B, code_dim)``."""
        pooled = [lift(stage.mean((-2, -1))) for lift, stage in zip(self.lifts, maps, strict=True)]
        return torch.einsum("i,ibc->bc", self.weights.softmax(0), torch.stack(pooled))
