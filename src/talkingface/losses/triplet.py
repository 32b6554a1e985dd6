"""Triplet loss on the L2 distance, one of AniTalker's two for its identity encoder (Table 3, supplement 2.2.1)."""

from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.losses.metric_learning import MetricLearning


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.01) -> Tensor:
    """Mean of ``max(0, ‖a - p‖ - ‖a - n‖ + margin)`` over the batch, inactive triplets included.

    The distance is torch's, which adds 1e-6 to every difference, so that equal vectors have a gradient.

    Args:
        anchor, positive: embeddings of one person, ``(B, D)``; they are compared as they are, not normalised.
        negative: of another person, ``(B, D)``.
        margin: how much nearer the positive has to be.

    Returns:
        Scalar, at least 0.

    >>> import torch
    >>> round(triplet_loss(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0]])).item(), 3)
    4.01
    """
    check_shape(anchor, ("B", "D"), "anchor")
    check_shape(positive, anchor.shape, "positive")
    check_shape(negative, anchor.shape, "negative")
    return functional.triplet_margin_loss(anchor, positive, negative, margin=margin)


class TripletLoss(MetricLearning):
    """:func:`triplet_loss` of anchor, positive and negative.

    Args:
        dim: size of the embeddings; nothing is learned for them.
        margin: as for :func:`triplet_loss`.
    """

    def __init__(self, dim: int, margin: float = 0.01) -> None:
        super().__init__()
        self.dim = dim
        self.margin = margin

    def compare(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, person: Tensor, stranger: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Numbers of people do not matter; right is a triplet whose positive is nearer than its negative."""
        check_shape(anchor, ("B", self.dim), "anchor")
        near, far = ((anchor - other).detach().norm(dim=1) for other in (positive, negative))
        return triplet_loss(anchor, positive, negative, self.margin), (near < far).float().mean()
