"""Blinks, read from the eye aspect ratio (Soukupová and Čech 2016)."""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.metrics.functional.landmarks import LEFT_EYE, RIGHT_EYE

CLOSED = 0.6  # of the clip's median aspect ratio


def eye_aspect_ratios(landmarks: Tensor) -> Tensor:
    """Height over width of each eye: (|p2 − p6| + |p3 − p5|) / (2 |p1 − p4|).

    Args:
        landmarks: 68 points, ``(..., 68, 2)``.

    Returns:
        Left and right eye of the picture, ``(..., 2)`` float64; about 0.3 for an open one, NaN where a point is.
    """
    check_shape(landmarks, (..., 68, 2), "landmarks")

    def ratio(eye: Tensor) -> Tensor:
        p1, p2, p3, p4, p5, p6 = eye.double().unbind(-2)
        ratio: Tensor = ((p2 - p6).norm(dim=-1) + (p3 - p5).norm(dim=-1)) / (2 * (p1 - p4).norm(dim=-1))
        return ratio

    return torch.stack((ratio(landmarks[..., LEFT_EYE, :]), ratio(landmarks[..., RIGHT_EYE, :])), -1)


def eye_aspect_ratio(landmarks: Tensor) -> Tensor:
    """Mean of :func:`eye_aspect_ratios` over both eyes, ``(..., 68, 2)`` → ``(...)``."""
    return eye_aspect_ratios(landmarks).mean(-1)


def closed_frames(openness: Tensor, threshold: float = CLOSED) -> Tensor:
    """Frames in which the eyes are closed, by the clip's own median.

    Args:
        openness: aspect ratio, ``(T,)``; NaN frames are not closed.
        threshold: share of the median.

    Returns:
        Bool ``(T,)``.
    """
    return openness < threshold * openness.double().nanquantile(0.5)


def blink_onsets(closed: Tensor) -> Tensor:
    """First frames of the runs of closed frames, one for each blink; bool ``(T,)`` → ``(B,)``.

    >>> blink_onsets(torch.tensor([0, 1, 1, 0, 1, 0]).bool()).tolist()
    [1, 4]
    """
    before = torch.cat((torch.zeros_like(closed[:1]), closed[:-1]))
    return (closed & ~before).nonzero()[:, 0]
