"""How a head moves: distance to the true pose and expression, liveliness, and trembling."""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import UnscorableError
from talkingface.core.geometry import euler, geodesic_angle
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional import motion as functional

_ANGLES = "yaw, pitch, roll of R = Rz(roll) Ry(yaw) Rx(pitch)"


class PoseDistance(MeanMetric):
    """APD by geodesic angle: by how much the head is turned away from where it should be.

    >>> still = torch.eye(3).expand(4, 3, 3)
    >>> PoseDistance()(still, still).item()
    0.0
    """

    unit = "°"
    higher_is_better = False
    range = (0.0, 180.0)
    penalty = 180.0
    needs = ("video.pose", "target.pose")
    convention = "apd/geodesic: angle between head rotations, lost faces 180°, mean over frames"
    citation = "Huynh 2009, Metrics for 3D Rotations, Φ6; name from Ren et al. 2021, PIRenderer"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Rotation matrices ``(T, 3, 3)`` twice → degrees ``(N,)`` for the N frames whose target has a pose."""
        check_shape(target, (len(prediction), 3, 3), "target")
        shown = _shown(target)
        return geodesic_angle(prediction[shown].double(), target[shown].double())


class EulerPoseDistance(MeanMetric):
    """APD as the papers on 3-D morphable models have it: mean absolute difference of three angles, in radians."""

    unit = "rad"
    higher_is_better = False
    range = (0.0, float("inf"))
    needs = ("video.pose", "target.pose")
    convention = f"apd/euler: mean |Δ| of {_ANGLES}, mean over frames"
    citation = "Ren et al. 2021, PIRenderer, section 4"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """See :meth:`PoseDistance.values`; radians."""
        check_shape(target, (len(prediction), 3, 3), "target")
        shown = _shown(target)
        first, second = (torch.deg2rad(euler(pose[shown].double())) for pose in (prediction, target))
        return functional.mean_absolute_difference(first, second)


class ExpressionDistance(MeanMetric):
    """AED-exp: mean absolute difference of expression coefficients, whichever the extractor gives.

    Not FOMM's AED, which is a distance between identity embeddings.
    """

    unit = ""
    higher_is_better = False
    range = (0.0, float("inf"))
    needs = ("video.expression", "target.expression")
    convention = "aed/exp: mean |Δ| of expression coefficients, mean over frames"
    citation = "Ren et al. 2021, PIRenderer, section 4"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Coefficients ``(T, K)`` twice → ``(N,)`` for the N frames whose target has them."""
        check_shape(target, prediction.shape, "target")
        shown = _shown(target)
        return functional.mean_absolute_difference(prediction[shown], target[shown])


class HeadMotion(MeanMetric):
    """Diversity of the head's motion: standard deviation over time of its angles, mean of the three."""

    unit = "°"
    higher_is_better = None
    range = (0.0, 180.0)
    needs = ("video.pose",)
    convention = f"head-motion/std: population s.d. over time of {_ANGLES}, mean of three, clip → data set"
    citation = "Zhang et al. 2023, SadTalker, section 4 (on angles, not on Hopenet's features)"

    def values(self, pose: Tensor) -> Tensor:
        """Rotation matrices ``(T, 3, 3)`` → the clip's value in every frame with a face, NaN in the lost ones."""
        found = found_frames(pose, 2)
        if found.sum() < 2:
            return torch.full((len(pose),), torch.nan)
        spread = functional.pose_spread(euler(pose[found].double())).mean()
        return torch.where(found, spread, torch.nan)


class HeadMotionDelta(MeanMetric):
    """ΔP: mean absolute change of the head's angles from frame to frame."""

    unit = "°/frame"
    higher_is_better = None
    range = (0.0, 180.0)
    needs = ("video.pose",)
    convention = f"head-motion/delta-p: mean |Δ| per frame of {_ANGLES}, clip → data set"
    citation = "Xu et al. 2024, VASA-1, section 4 (ΔP)"

    def values(self, pose: Tensor) -> Tensor:
        """Rotation matrices ``(T, 3, 3)`` → degrees ``(T - 1,)``, NaN beside a lost frame."""
        found_frames(pose, 2)
        return functional.pose_steps(euler(pose.double()))


class Jitter(MeanMetric):
    """Trembling of the features: third difference of landmarks that were stabilised over the clip."""

    unit = "px/s³"
    higher_is_better = None
    range = (0.0, float("inf"))
    needs = ("video.landmarks", "fps")
    convention = (
        "jitter/stabilised: mean L2 of the third difference · fps³, 68 points laid over the clip's mean shape by "
        "similarity, pixels of the frame as scored, clip → data set"
    )
    citation = "Flash and Hogan 1985 (jerk)"

    def values(self, landmarks: Tensor, fps: float) -> Tensor:
        """Landmarks ``(T, 68, 2)``, frames a second → ``(T - 3,)``, NaN where one of four frames has no face."""
        found_frames(landmarks, 4)
        return functional.derivative(self.steady(landmarks), 3, fps)

    def steady(self, landmarks: Tensor) -> Tensor:
        """What the difference is taken of; ``(T, 68, 2)`` → the same."""
        return functional.stabilised(landmarks)


class RawJitter(Jitter):
    """Trembling of landmarks as they are, the head's own motion included."""

    convention = (
        "jitter/raw: mean L2 of the third difference · fps³, 68 points, pixels of the frame as scored, clip → data set"
    )

    def steady(self, landmarks: Tensor) -> Tensor:
        """The landmarks themselves."""
        return landmarks


def found_frames(feature: Tensor, fewest: int) -> Tensor:
    """Which frames have a feature; for metrics of a whole clip.

    Args:
        feature: ``(T, …)``, NaN where nothing was found.
        fewest: frames that the metric needs.

    Returns:
        Bool ``(T,)``.

    Raises:
        UnscorableError: when the clip is shorter than that.
    """
    if len(feature) < fewest:
        raise UnscorableError(f"is shorter than {fewest} frames")
    return ~feature.flatten(1).isnan().any(1)


def _shown(target: Tensor) -> Tensor:
    """Frames of the target that can be scored, bool ``(T,)``."""
    shown = ~target.flatten(1).isnan().any(1)
    if not shown.any():
        raise UnscorableError("has no face in its target")
    return shown
