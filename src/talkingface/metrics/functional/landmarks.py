"""Distances between 68-point landmarks (iBUG order), in the conventions that papers use under one name.

All functions compute in float64, take ``(..., 68, 2)`` points in pixels, and give NaN where a point is NaN.
"""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape

MOUTH = slice(48, 68)
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # left and right of the picture
OUTER_EYE_CORNERS = (36, 45)
INNER_LIPS = (62, 66)  # middle of the upper and of the lower lip's inner edge


def point_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean Euclidean distance between points that belong together: LMD of whichever points are given.

    Args:
        prediction, target: ``(..., K, 2)`` or ``(..., K, 3)``.

    Returns:
        ``(...)`` float64, in the unit of the points.

    >>> face = torch.zeros(2, 68, 2)
    >>> point_distance(face + torch.tensor([3.0, 4.0]), face).tolist()
    [5.0, 5.0]
    """
    check_shape(target, prediction.shape, "target")
    distance: Tensor = (prediction.double() - target.double()).norm(dim=-1).mean(-1)
    return distance


def absolute_difference(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of all coordinates: AKD as FOMM's evaluation computes it, not a Euclidean distance.

    Args:
        prediction, target: ``(..., K, D)``.

    Returns:
        ``(...)`` float64.
    """
    check_shape(target, prediction.shape, "target")
    return (prediction.double() - target.double()).abs().mean((-2, -1))


def centred(points: Tensor) -> Tensor:
    """Points about their centroid; ``(..., K, D)`` → the same, float64."""
    points = points.double()
    return points - points.mean(-2, keepdim=True)


def procrustes(source: Tensor, target: Tensor) -> Tensor:
    """Lay points over others by the best shift, turn and scale, never a mirror image (Umeyama 1991, in the plane).

    In the plane the least-squares similarity has a closed form: with points as complex numbers about their centroids
    it is one factor, ``Σ conj(source) target / Σ |source|²``.

    Args:
        source, target: ``(..., K, 2)``, not all points of ``source`` in one place.

    Returns:
        ``source``, moved: ``(..., K, 2)`` float64.
    """
    check_shape(source, (..., "K", 2), "source")
    check_shape(target, (..., source.shape[-2], 2), "target")
    a, b = centred(source), centred(target)
    dot = (a * b).sum((-2, -1))
    cross = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(-1)
    factor = torch.stack((dot, cross), -1) / a.square().sum((-2, -1))[..., None]
    cosine, sine = factor[..., None, 0], factor[..., None, 1]
    turned = torch.stack((cosine * a[..., 0] - sine * a[..., 1], sine * a[..., 0] + cosine * a[..., 1]), -1)
    return turned + target.double().mean(-2, keepdim=True)


def interocular(landmarks: Tensor) -> Tensor:
    """Distance between the outer corners of the eyes; ``(..., 68, 2)`` → ``(...)`` float64."""
    left, right = OUTER_EYE_CORNERS
    distance: Tensor = (landmarks[..., left, :].double() - landmarks[..., right, :].double()).norm(dim=-1)
    return distance


def interpupil(landmarks: Tensor) -> Tensor:
    """Distance between the centres of the eyes; ``(..., 68, 2)`` → ``(...)`` float64."""
    left, right = landmarks[..., LEFT_EYE, :].double().mean(-2), landmarks[..., RIGHT_EYE, :].double().mean(-2)
    distance: Tensor = (left - right).norm(dim=-1)
    return distance


def lip_opening(landmarks: Tensor) -> Tensor:
    """Gap between the inner lips at their middle; ``(..., 68, 2)`` → ``(...)`` float64, in pixels."""
    upper, lower = INNER_LIPS
    distance: Tensor = (landmarks[..., upper, :].double() - landmarks[..., lower, :].double()).norm(dim=-1)
    return distance
