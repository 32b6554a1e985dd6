"""Landmark distances (LMD, AKD, missing faces), each in the convention that its name says."""

from abc import abstractmethod

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional import landmarks as functional
from talkingface.metrics.functional.landmarks import MOUTH

_POINTS = "68 iBUG points, mean over frames, pixels of the frame as scored"


class LandmarkMetric(MeanMetric):
    """Mean over the frames whose target shows a face; a face that the prediction lacks is listed as lost.

    A distance has no worst value, so a lost frame has no penalty here: read it with :class:`MissingFaces`.
    """

    unit = "px"
    higher_is_better = False
    range = (0.0, float("inf"))
    needs = ("video.landmarks", "target.landmarks")
    citation = "Chen et al. 2018, Lip Movements Generation at a Glance, section 4.2"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Landmarks ``(T, 68, 2)`` twice, NaN where there is no face → ``(N,)`` for the N frames of the target's face.

        Raises:
            UnscorableError: when the target shows no face at all.
        """
        check_shape(prediction, ("T", 68, 2), "prediction")
        check_shape(target, (len(prediction), 68, 2), "target")
        shown = ~target.isnan().any((-2, -1))
        if not shown.any():
            raise UnscorableError("has no face in its target")
        return self.distance(prediction[shown], target[shown])

    @abstractmethod
    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Landmarks ``(N, 68, 2)`` twice, none of the target's NaN → ``(N,)``."""


class FaceLMD(LandmarkMetric):
    """F-LMD: mean Euclidean distance of all 68 points.

    >>> face = torch.rand(5, 68, 2) * 256
    >>> FaceLMD()(face + torch.tensor([3.0, 4.0]), face).round(decimals=4).item()
    5.0
    """

    convention = f"f-lmd/raw: mean L2, {_POINTS}"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        """See :meth:`LandmarkMetric.distance`, here and below."""
        return functional.point_distance(prediction, target)


class MouthLMD(LandmarkMetric):
    """M-LMD: mean Euclidean distance of the 20 points of the mouth."""

    convention = f"m-lmd/raw: mean L2 of points 48–67, {_POINTS}"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.point_distance(prediction[:, MOUTH], target[:, MOUTH])


class CentredMouthLMD(LandmarkMetric):
    """M-LMD with the centre of the mouth taken out, so that a shifted head does not count."""

    convention = f"m-lmd/centred: mean L2 of points 48–67 about their centroid, {_POINTS}"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.point_distance(functional.centred(prediction[:, MOUTH]), functional.centred(target[:, MOUTH]))


class SummedMouthLMD(CentredMouthLMD):
    """LMD as its authors' code has it (ATVGnet): the centred distance summed over the 20 points, not averaged."""

    convention = f"lmd/atvg: sum of L2 of points 48–67 about their centroid, {_POINTS}"
    citation = "Chen et al. 2019, Hierarchical Cross-Modal Talking Face Generation (ATVGnet), evaluation code"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return 20 * super().distance(prediction, target)


class AlignedFaceLMD(LandmarkMetric):
    """F-LMD after each frame was laid over its target: shift, turn in the picture and size do not count."""

    convention = f"f-lmd/procrustes: mean L2 after similarity alignment of the 68 points, {_POINTS}"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.point_distance(functional.procrustes(prediction, target), target)


class AlignedMouthLMD(LandmarkMetric):
    """M-LMD after the whole face was laid over its target."""

    convention = f"m-lmd/procrustes: mean L2 of points 48–67 after similarity alignment of all 68, {_POINTS}"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        aligned = functional.procrustes(prediction, target)
        return functional.point_distance(aligned[:, MOUTH], target[:, MOUTH])


class RelativeFaceLMD(FaceLMD):
    """F-LMD over the distance of the outer eye corners of the target, so that the size of the face does not count."""

    unit = ""
    convention = "f-lmd/iod: mean L2 over the target's distance of points 36–45, 68 iBUG points, mean over frames"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().distance(prediction, target) / functional.interocular(target)


class RelativeMouthLMD(MouthLMD):
    """M-LMD over the distance of the outer eye corners of the target."""

    unit = ""
    convention = "m-lmd/iod: mean L2 of points 48–67 over the target's distance of points 36–45, mean over frames"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().distance(prediction, target) / functional.interocular(target)


class AKD(LandmarkMetric):
    """Average keypoint distance as FOMM computes it: mean absolute difference of x and y."""

    convention = f"akd/fomm: mean |Δ| over x and y (not Euclidean), {_POINTS}"
    citation = "Siarohin et al. 2019, First Order Motion Model, section 4; pose-evaluation code"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.absolute_difference(prediction, target)


class MissingFaces(LandmarkMetric):
    """Missing keypoint rate: share of frames whose target shows a face and whose prediction does not."""

    unit = ""
    range = (0.0, 1.0)
    convention = "mkr/frame: share of frames with landmarks in the target and none in the prediction, clip → data set"
    citation = "Siarohin et al. 2019, First Order Motion Model, section 4 (MKR)"

    def distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        """1 for a missing face, 0 for one that was found; never NaN."""
        return prediction.isnan().any(-1).any(-1).to(torch.float64)
