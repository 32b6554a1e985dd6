"""How often and how long the eyes close."""

import torch
from torch import Tensor

from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional import blink as functional
from talkingface.metrics.motion import found_frames

_EYES = "eye aspect ratio, mean of both eyes, below 0.6 of the clip's median"


class BlinkRate(MeanMetric):
    """Blinks a minute; people at rest blink 15 to 20 times."""

    unit = "1/min"
    higher_is_better = None
    range = (0.0, float("inf"))
    needs = ("video.landmarks", "fps")
    convention = f"blink-rate/ear: onsets a minute of {_EYES}, over the frames with a face, clip → data set"
    citation = "Soukupová and Čech 2016, Real-Time Eye Blink Detection using Facial Landmarks, equation 1"

    def values(self, landmarks: Tensor, fps: float) -> Tensor:
        """Landmarks ``(T, 68, 2)``, frames a second → the clip's value in frames with a face, NaN in the lost ones."""
        found = found_frames(landmarks, 2)
        closed = functional.closed_frames(functional.eye_aspect_ratio(landmarks))
        rate = len(functional.blink_onsets(closed)) / (found.sum() / fps / 60)
        return torch.where(found, rate.double(), torch.nan)


class BlinkDuration(MeanMetric):
    """How long a blink lasts, in seconds; a clip without a blink has none."""

    unit = "s"
    higher_is_better = None
    range = (0.0, float("inf"))
    needs = ("video.landmarks", "fps")
    convention = f"blink-duration/ear: seconds a blink of {_EYES}, clip → data set"
    citation = BlinkRate.citation

    def values(self, landmarks: Tensor, fps: float) -> Tensor:
        """See :meth:`BlinkRate.values`.

        Raises:
            UnscorableError: when a clip with a face shows no blink.
        """
        found = found_frames(landmarks, 2)
        closed = functional.closed_frames(functional.eye_aspect_ratio(landmarks))
        blinks = len(functional.blink_onsets(closed))
        if found.any() and blinks == 0:
            raise UnscorableError("shows no blink")
        return torch.where(found, closed.sum().double() / max(blinks, 1) / fps, torch.nan)
