"""Lip synchrony by SyncNet: LSE-D, LSE-C and the offset, clean, and as the official chain of programs gives them."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional.sync import SHIFTS, LipSync, lip_sync

FPS = 25.0
_CLEAN = "clean: SyncNet embeddings of the feature 'sync' (its convention is part of this one), common windows"
_DISTANCE = f"{_CLEAN}, torch pairwise distance (1e-6 added to each component)"
_PADDED = f"{_DISTANCE}, shifts of ±15, zero vectors beyond the ends"
_MEAN = "clip → data set"
_CITATION = "Chung and Zisserman 2016, Out of Time; Prajwal et al. 2020, A Lip Sync Expert Is All You Need, section 4.1"


class LipSyncMetric(MeanMetric):
    """A value read from the distances between lips and speech at shifts of ±15 frames.

    The sound comes first among the needs: a clip without speech is refused before its video is looked at.

    Attributes:
        valid_only: whether only pairs of windows count of which both sides exist.
    """

    unit = ""
    needs = ("audio.sync", "video.sync", "fps")
    citation = _CITATION
    valid_only: ClassVar[bool] = False

    def values(self, speech: Tensor, lips: Tensor, fps: float = FPS) -> Tensor:
        """Embeddings → what the clip's mean is taken over.

        Args:
            speech: ``(N, 1024)``.
            lips: ``(M, 1024)``; the windows that both have are compared.
            fps: frames a second of the video.

        Returns:
            float64 ``(windows,)``, or one value.

        Raises:
            UnscorableError: another frame rate than 25; no windows.
        """
        if abs(fps - FPS) > 0.01:
            raise UnscorableError(f"has {fps:g} frames a second; SyncNet was trained at 25, resample the video")
        count = min(len(speech), len(lips))
        if count == 0:
            raise UnscorableError("is shorter than SyncNet's window")
        return self.read(lip_sync(lips[:count], speech[:count], valid_only=self.valid_only))

    @abstractmethod
    def read(self, sync: LipSync) -> Tensor:
        """What this metric takes from the distances."""


class LSED(LipSyncMetric):
    """LSE-D: the least mean distance over shifts of ±15 frames; lower is better.

    Real videos score 6 to 8, and often worse than systems that were trained against SyncNet; read it beside the row
    of the ground truth.

    >>> speech = torch.randn(40, 1024, generator=torch.Generator().manual_seed(0))
    >>> LSED()(speech, speech).round(decimals=4).item()
    0.0
    """

    higher_is_better = False
    range = (0.0, float("inf"))
    convention = f"lse-d/{_PADDED}; least of the mean distances, {_MEAN}"

    def read(self, sync: LipSync) -> Tensor:
        """Distance of each window at the best shift, ``(T,)``."""
        return sync.best_distances


class LSEC(LipSyncMetric):
    """LSE-C: median minus least of the mean distances over shifts of ±15 frames; higher is better.

    It depends on the length of the clip (see :class:`ValidLSEC`): compare clips of equal length only.
    """

    higher_is_better = True
    range = (0.0, float("inf"))
    convention = f"lse-c/{_PADDED}; median minus least of the mean distances, {_MEAN}"

    def read(self, sync: LipSync) -> Tensor:
        """Confidence of each window, ``(T,)``."""
        return sync.confidences


class SyncOffset(LipSyncMetric):
    """Frames by which the audio leads: positive where it is early, and must be delayed by offset / 25 s.

    The mean over clips keeps the sign, so that clips that err both ways cancel: look at the rows of the clips too.
    """

    unit = "frames"
    higher_is_better = None
    range = (-float(SHIFTS), float(SHIFTS))
    convention = f"lse-offset/{_PADDED}; 15 minus the best column, signed mean over clips; positive: audio early"

    def read(self, sync: LipSync) -> Tensor:
        """One number, ``(1,)``."""
        return torch.tensor([float(sync.offset)])


class UnshiftedLSED(LipSyncMetric):
    """Mean distance without any shift: a constant delay, which LSE-D forgives, shows here."""

    higher_is_better = False
    range = (0.0, float("inf"))
    convention = f"lse-d0/{_DISTANCE}, no shift, {_MEAN}"

    def read(self, sync: LipSync) -> Tensor:
        """Distance of each window, ``(T,)``."""
        return sync.unshifted_distances


class ValidLSEC(LipSyncMetric):
    """LSE-C over existing pairs of windows only: without zero vectors, whose distance makes short clips look sure.

    Unsynchronised embeddings with a common mean score 20 / 4 / 0.8 in 20 / 95 / 495 windows by :class:`LSEC`, and
    0.2 / 0.05 / 0.02 by this.
    """

    higher_is_better = True
    range = (0.0, float("inf"))
    convention = f"lse-c-valid/{_DISTANCE}, shifts of ±15, no padding; median minus least, {_MEAN}"
    valid_only = True

    def read(self, sync: LipSync) -> Tensor:
        """Confidence of each window that has a partner at the best shift, ``(n,)``.

        Raises:
            UnscorableError: when some shift leaves no pair.
        """
        if len(sync.distances) <= SHIFTS:
            raise UnscorableError(f"has {len(sync.distances)} windows, too few for shifts of ±{SHIFTS} without padding")
        return sync.confidences[~sync.confidences.isnan()]


class CompatMetric(MeanMetric):
    """A value of each face track that the official chain of programs finds in the predicted file.

    Attributes:
        column: of the feature "sync-compat".
    """

    unit = ""
    needs = ("video.sync-compat",)
    citation = _CITATION
    column: ClassVar[int]

    def values(self, tracks: Tensor) -> Tensor:
        """Rows of the feature "sync-compat" ``(tracks, 3)`` → ``(tracks,)``; each face track weighs the same."""
        return tracks[:, self.column]


class CompatLSED(CompatMetric):
    """LSE-D as syncnet_python's ``run_pipeline`` and ``run_syncnet`` print it for a file; lower is better."""

    column = 0
    higher_is_better = False
    range = (0.0, float("inf"))
    convention = (
        "lse-d/compat: feature 'sync-compat' (its convention is part of this one), face track → clip → data set"
    )


class CompatLSEC(CompatMetric):
    """LSE-C as syncnet_python prints it for a file; higher is better, and it depends on the length of the clip."""

    column = 1
    higher_is_better = True
    range = (0.0, float("inf"))
    convention = CompatLSED.convention.replace("lse-d", "lse-c")


class CompatSyncOffset(CompatMetric):
    """Offset as syncnet_python prints it.

    What is in sync leaves the chain up to a frame early: the MP3 sound of its AVI comes 23 to 69 ms late, and ffmpeg
    delays the pictures by one or two whole frames to make room for that.
    """

    column = 2
    unit = "frames"
    higher_is_better = None
    range = SyncOffset.range
    convention = CompatLSED.convention.replace("lse-d", "lse-offset")
