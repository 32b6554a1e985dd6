"""Conformer: self-attention for what is far, convolution for what is near (Gulati et al. 2020).

Details that papers leave open are those of espnet's "legacy" encoder without an input layer, because AniTalker's
published weights want them: the input is scaled by ``sqrt(dim)``, normalisation comes after each sum, and the linear
layers do not widen.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError

NORM_EPSILON = 1e-12  # espnet's, far below PyTorch's 1e-5
LONGEST_PERIOD = 10_000.0  # of the sinusoids, in frames over 2 pi (Vaswani et al. 2017, 3.5)


def relative_positions(frames: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Sinusoids of the distances between frames, from ``frames - 1`` down to ``1 - frames``.

    Args:
        frames: length T of the sequence.
        dim: width of the table, even; sines in even columns, cosines in odd ones.
        device: where it is made.

    Returns:
        Float32 ``(2 T - 1, dim)``; row ``T - 1`` is distance 0.

    >>> relative_positions(2, 2)
    tensor([[ 0.8415,  0.5403],
            [ 0.0000,  1.0000],
            [-0.8415,  0.5403]])
    """
    distance = torch.arange(frames - 1, -frames, -1, dtype=torch.float32, device=device)
    frequency = torch.exp(
        torch.arange(0, dim, 2, dtype=torch.float32, device=device) * -(math.log(LONGEST_PERIOD) / dim)
    )
    angle = torch.outer(distance, frequency)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def relative_shift(scores: Tensor) -> Tensor:
    """Reorder scores by distance into scores by frame, without a loop (Dai et al. 2019, appendix B).

    One column more makes each row start one place later in memory, so that reading rows one place shorter slides them.

    Args:
        scores: ``(..., T, 2 T - 1)``; column j is distance ``T - 1 - j``.

    Returns:
        ``(..., T, T)``; entry ``(t, s)`` is the score of row t at distance ``t - s``.

    >>> relative_shift(torch.tensor([[1, 0, -1], [1, 0, -1]]))
    tensor([[ 0, -1],
            [ 1,  0]])
    """
    *batch, frames, distances = scores.shape
    padded = functional.pad(scores, (1, 0)).reshape(*batch, distances + 1, frames)
    return padded[..., 1:, :].reshape(*batch, frames, distances)[..., :frames]


class RelativeAttention(nn.Module):
    """Multi-head self-attention that looks at content and distance (Dai et al. 2019, section 3.3).

    ``score(t, s) = ((q_t + u) . k_s + (q_t + v) . p_{t-s}) / sqrt(dim / heads)``, with u and v learned for each head.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.position = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.content_bias = nn.Parameter(torch.empty(heads, dim // heads))  # u
        self.position_bias = nn.Parameter(torch.empty(heads, dim // heads))  # v
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def project_positions(self, table: Tensor) -> Tensor:
        """Table ``(2 T - 1, dim)`` → p ``(heads, 2 T - 1, dim / heads)``, the same for every sequence of T frames."""
        projected: Tensor = self.position(table)
        return self._split(projected)

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        """``(B, T, dim)`` and p of :meth:`project_positions` → ``(B, T, dim)``."""
        query, key, value = (self._split(layer(features)) for layer in (self.query, self.key, self.value))
        by_distance = (query + self.position_bias[:, None].to(query.dtype)) @ positions.to(query.dtype).mT
        mixed = functional.scaled_dot_product_attention(
            query + self.content_bias[:, None].to(query.dtype),
            key,
            value,
            attn_mask=relative_shift(by_distance) / math.sqrt(query.shape[-1]),
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: Tensor = self.out(mixed.transpose(-3, -2).flatten(-2))
        return joined

    def _split(self, features: Tensor) -> Tensor:
        """``(..., T, dim)`` → ``(..., heads, T, dim / heads)``."""
        heads: Tensor = features.unflatten(-1, (self.heads, -1))
        return heads.transpose(-3, -2)


class ConvolutionModule(nn.Module):
    """Gated pointwise, depthwise over time, normalisation over the batch, pointwise (Gulati et al. 2020, figure 2)."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.pointwise_in = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.BatchNorm1d(dim)
        self.pointwise_out = nn.Linear(dim, dim)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, T, dim)`` → ``(B, T, dim)``."""
        gated = functional.glu(self.pointwise_in(features), dim=-1)
        filtered = functional.silu(self.norm(self.depthwise(gated.mT)))
        mixed: Tensor = self.pointwise_out(filtered.mT)
        return mixed


class ConformerBlock(nn.Module):
    """Half a feed-forward step, attention, convolution, another half; each sum is normalised, and all at the end."""

    def __init__(self, dim: int, heads: int, dropout: float, kernel: int) -> None:
        super().__init__()

        def feed_forward() -> nn.Sequential:
            return nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dim, dim))

        def norm() -> nn.LayerNorm:
            return nn.LayerNorm(dim, eps=NORM_EPSILON)

        self.feed_forward_in, self.norm_in = feed_forward(), norm()
        self.attention, self.norm_attention = RelativeAttention(dim, heads, dropout), norm()
        self.convolution, self.norm_convolution = ConvolutionModule(dim, kernel), norm()
        self.feed_forward_out, self.norm_out = feed_forward(), norm()
        self.norm_final = norm()
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        """``(B, T, dim)`` → ``(B, T, dim)``."""
        features = self.norm_in(features + 0.5 * self.dropout(self.feed_forward_in(features)))
        features = self.norm_attention(features + self.dropout(self.attention(features, positions)))
        features = self.norm_convolution(features + self.dropout(self.convolution(features)))
        features = self.norm_out(features + 0.5 * self.dropout(self.feed_forward_out(features)))
        normalised: Tensor = self.norm_final(features)
        return normalised


class Conformer(nn.Module):
    """Sequence → sequence of the same length and width; any length.

    Args:
        dim: width, even and a multiple of ``heads``.
        blocks: how many blocks.
        heads: of the attention.
        dropout: behind every layer, on the attention, on the input and on the position table.
        kernel: frames that the convolution sees, odd.

    Raises:
        ConfigError: when the numbers do not fit together.
    """

    def __init__(self, dim: int, *, blocks: int, heads: int = 2, dropout: float = 0.2, kernel: int = 13) -> None:
        super().__init__()
        if dim < 2 or dim % 2 or heads < 1 or dim % heads:
            raise ConfigError(f"the width of a Conformer must be even and a multiple of its {heads} heads, got {dim}.")
        if kernel < 1 or kernel % 2 == 0:
            raise ConfigError(f"the kernel of a Conformer must be odd, so that it has a middle, got {kernel}.")
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ConformerBlock(dim, heads, dropout, kernel) for _ in range(blocks))

    def positions(self, frames: int) -> tuple[Tensor, ...]:
        """What the blocks know of distances in a sequence of T frames; whoever calls often makes it once.

        Args:
            frames: length T.

        Returns:
            One tensor ``(heads, 2 T - 1, dim / heads)`` for each block.
        """
        device = next(self.parameters()).device
        table = self.dropout(relative_positions(frames, self.dim, device))
        return tuple(block.attention.project_positions(table) for block in self.blocks)  # type: ignore[union-attr, operator]

    def forward(self, features: Tensor, positions: Sequence[Tensor] | None = None) -> Tensor:
        """Let every frame see all others.

        Args:
            features: ``(B, T, dim)``.
            positions: result of :meth:`positions` for T frames, made anew when not given.

        Returns:
            ``(B, T, dim)``.
        """
        check_shape(features, ("B", "T", self.dim), "features of a Conformer")
        if positions is None:
            positions = self.positions(features.shape[1])
        features = self.dropout(features * math.sqrt(self.dim))
        for block, distances in zip(self.blocks, positions, strict=True):
            features = block(features, distances)
        return features
