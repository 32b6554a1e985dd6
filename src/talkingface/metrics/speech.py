"""Lips beside the sound, without a network: do they open when it is loud, and rest when it is silent?"""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional import loudness as functional
from talkingface.metrics.functional.landmarks import interocular, lip_opening
from talkingface.metrics.motion import found_frames

_OPENING = "gap of points 62–66 over the distance of points 36–45"


class LipLoudness(MeanMetric):
    """Correlation of lip opening and loudness; a coarse sign of synchrony, to be read beside that of real clips."""

    unit = ""
    higher_is_better = None
    range = (-1.0, 1.0)
    needs = ("video.landmarks", "audio", "fps")
    convention = (
        f"lip-loudness/pearson: {_OPENING} against the RMS of the samples under each frame, over the frames with a "
        "face, 0 where the lips never move, clip → data set"
    )
    citation = "Pearson correlation; compare THEval (2026), lip dynamics"

    def values(self, landmarks: Tensor, audio: Tensor, fps: float) -> Tensor:
        """Landmarks ``(T, 68, 2)``, samples ``(S,)``, frames a second → the clip's value in every frame with a face.

        Raises:
            UnscorableError: when the sound does not change, as silence does not, or the clip has one frame.
        """
        check_shape(landmarks, ("T", 68, 2), "landmarks")
        found = found_frames(landmarks, 2)
        level = functional.loudness(audio, len(landmarks), fps)
        if level.max() < functional.INAUDIBLE or level.max() == level.min():
            raise UnscorableError("has no sound that changes")
        opening = lip_opening(landmarks) / interocular(landmarks)
        value = functional.correlation(opening[found], level[found]).nan_to_num(nan=0.0)
        return torch.where(found, value, torch.nan)


class SilentLips(MeanMetric):
    """Restlessness of the lips in silence; 0 is a mouth that rests."""

    unit = ""
    higher_is_better = None
    range = (0.0, float("inf"))
    needs = ("video.landmarks", "audio", "fps")
    convention = (
        f"silent-lip/median: median |opening − mean of its silence|, {_OPENING}, in silences of 0.3 s and more "
        "(frames 25 dB below the loudest, or below −60 dB full scale), clip → data set"
    )
    citation = "THEval (2026), silent lip stability"

    def values(self, landmarks: Tensor, audio: Tensor, fps: float) -> Tensor:
        """See :meth:`LipLoudness.values`; the value stands in the frames of silence, NaN where a face was lost.

        Raises:
            UnscorableError: when there is no silence long enough.
        """
        check_shape(landmarks, ("T", 68, 2), "landmarks")
        pauses = functional.silences(functional.loudness(audio, len(landmarks), fps), fps)
        if not pauses:
            raise UnscorableError(f"has no silence of {functional.SILENCE} s")
        opening = lip_opening(landmarks) / interocular(landmarks)
        deviations = torch.cat([functional.silent_lip_deviations(opening[pause]) for pause in pauses])
        return torch.where(deviations.isnan(), torch.nan, deviations.nanquantile(0.5))
