"""What implicit 3D keypoints should be like: spread, at one depth, barely deformed, the same for one person."""

from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape

CLOSE = 0.1  # squared distance below which two keypoints repel each other
DEPTH = 0.33  # mean z of the keypoints
CANONICAL_DELTA = 0.05  # of a range of 2; canonical keypoints of one person differ by 0.01 to 0.1


def keypoint_prior(points: Tensor) -> Tensor:
    """Keep keypoints apart and their mean depth at 0.33 (face-vid2vid, appendix A.2).

    ``sum_ij max(0, 0.1 - |x_i - x_j|²) + | mean z - 0.33 |``, mean over the batch. The sum runs over all ordered pairs,
    each point with itself included, as published: that part is ``0.1 K`` and has no gradient.

    Args:
        points: placed keypoints ``(B, K, 3)``.

    Returns:
        Scalar, at least ``0.1 K``.

    >>> import torch
    >>> round(keypoint_prior(torch.eye(3)[None] - 1 / 3 + 0.33).item(), 4)
    0.3
    """
    check_shape(points, ("B", "K", 3), "points")
    squared = (points.unsqueeze(1) - points.unsqueeze(2)).square().sum(-1)
    crowding = (CLOSE - squared).clamp(min=0).sum((1, 2))
    return (crowding + (points[..., 2].mean(1) - DEPTH).abs()).mean()


def deformation_prior(expression: Tensor) -> Tensor:
    """Keep expressions small: their L1 norm, mean over the batch (face-vid2vid, appendix A.2).

    Args:
        expression: offsets of all keypoints ``(B, 3 K)``.

    Returns:
        Scalar, at least 0.
    """
    check_shape(expression, ("B", "E"), "expression")
    return expression.abs().sum(-1).mean()


def canonical_loss(first: Tensor, second: Tensor, delta: float = CANONICAL_DELTA) -> Tensor:
    """Huber distance of the canonical keypoints of two pictures of one person (Takin-ADA, ``L_canonical``).

    The paper gives no delta. At 1, where frameworks have it, differences as small as these would be squared throughout.

    Args:
        first, second: canonical keypoints ``(B, K, 3)``; both get gradients.
        delta: where the square ``d² / 2`` turns into the line ``delta (d - delta / 2)``.

    Returns:
        Scalar, at least 0: mean over keypoints and axes.
    """
    check_shape(second, first.shape, "second")
    return functional.huber_loss(first, second, delta=delta)
