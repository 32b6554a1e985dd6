"""Motion of a head and of its features over time: speed and jitter, spread of the pose, beats, parameter distances."""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.metrics.functional.landmarks import procrustes


def derivative(points: Tensor, order: int, fps: float = 1.0) -> Tensor:
    """Mean length of the points' finite difference over time: speed (1), acceleration (2), jerk or jitter (3).

    Args:
        points: ``(T, K, D)``.
        order: of the difference.
        fps: frames a second; 1 gives the value per frame^order.

    Returns:
        One value for each window of ``order + 1`` frames, ``(T - order,)`` float64, NaN where one of them is.

    >>> derivative(torch.arange(4.0).reshape(4, 1, 1).expand(4, 68, 1), 1, fps=25.0).tolist()
    [25.0, 25.0, 25.0]
    """
    check_shape(points, ("T", "K", "D"), "points")
    magnitude: Tensor = points.double().diff(n=order, dim=0).norm(dim=-1).mean(-1) * fps**order
    return magnitude


def stabilised(landmarks: Tensor) -> Tensor:
    """Landmarks without the head's shift, turn in the picture and size, so that only their own trembling is left.

    Every frame is laid over the clip's mean shape, which is found in two rounds, the first from the first frame.

    Args:
        landmarks: ``(T, K, 2)``; frames without a face are NaN and stay so.

    Returns:
        ``(T, K, 2)`` float64, in the pixels of the first frame with a face.
    """
    check_shape(landmarks, ("T", "K", 2), "landmarks")
    found = ~landmarks.isnan().any((-2, -1))
    if not found.any():
        return landmarks.double()
    shape = landmarks[found][0].double()
    for _ in range(2):
        shape = procrustes(landmarks[found], shape.expand_as(landmarks[found])).mean(0)
    return procrustes(landmarks, shape.expand_as(landmarks))


def mean_absolute_difference(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of parameters: AED of expression coefficients; APD of three angles, as 3DMM papers do.

    Args:
        prediction, target: ``(T, K)``.

    Returns:
        ``(T,)`` float64, in the unit of the parameters.
    """
    check_shape(target, prediction.shape, "target")
    return (prediction.double() - target.double()).abs().mean(-1)


def pose_spread(pose: Tensor) -> Tensor:
    """Standard deviation over time of each angle, of the population; ``(T, 3)`` → ``(3,)`` float64."""
    return pose.double().std(0, correction=0)


def pose_steps(pose: Tensor) -> Tensor:
    """Mean absolute change of the angles from frame to frame, whose mean is VASA-1's ΔP; ``(T, 3)`` → ``(T - 1,)``."""
    return pose.double().diff(dim=0).abs().mean(-1)


def head_motion_complexity(pose: Tensor) -> Tensor:
    """THEval's head motion without translation: √(mean spread · mean variance of the frame-to-frame change).

    Its unit is mixed; for comparison with THEval only.

    Args:
        pose: angles in degrees, ``(T, 3)``.

    Returns:
        Float64 scalar.
    """
    steps = pose.double().diff(dim=0)
    return (pose_spread(pose).mean() * steps.var(0, correction=0).mean()).sqrt()


def motion_beats(pose: Tensor) -> Tensor:
    """Frames where the head pauses: local minima of the speed of its angles.

    Args:
        pose: ``(T, 3)``.

    Returns:
        Numbers of the steps (from frame i to i + 1), ``(B,)``.
    """
    speed = pose_steps(pose)
    inner = (speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])
    return inner.nonzero()[:, 0] + 1


def beat_alignment(beats: Tensor, others: Tensor, sigma: float = 3.0) -> Tensor:
    """How close each beat has a beat of the other kind: mean of exp(−d²/2σ²) (AIST++); not symmetric.

    Args:
        beats: averaged over, ``(B,)`` in frames.
        others: where the nearest is sought, ``(C,)``.
        sigma: in frames.

    Returns:
        Float64 scalar in [0, 1]; NaN without beats.

    >>> beat_alignment(torch.tensor([4, 9]), torch.tensor([9, 4, 20])).item()
    1.0
    """
    if len(others) == 0:
        return torch.tensor(float("nan"), dtype=torch.float64)
    nearest = (beats.double()[:, None] - others.double()).square().min(1).values
    return torch.exp(-nearest / (2 * sigma**2)).mean()
