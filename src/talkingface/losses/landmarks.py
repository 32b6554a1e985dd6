"""Landmark guidance: some implicit keypoints follow facial landmarks (LivePortrait, section 3.2; Takin-ADA)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.component import Component
from talkingface.core.errors import ConfigError, did_you_mean

# Three points of each eye (corner, corner, upper lid) and four of the mouth (corner, corner, upper and lower lip).
LANDMARKS = (36, 39, 37, 42, 45, 43, 48, 54, 51, 57)
# Keypoints that move eyes and mouth in LivePortrait's released weights; which of them belongs to which landmark nobody
# has published. From scratch any choice will do.
KEYPOINTS = (12, 13, 11, 16, 18, 15, 14, 17, 20, 19)
HUBER_DELTA = 0.05  # of a picture 2 wide
WING_WIDTH, WING_CURVE = 20 / 256, 4 / 256  # Feng et al. (2018): 10 and 2 pixels of 256


def huber(distance: Tensor) -> Tensor:
    """``d² / 2`` up to 0.05, then a line: ``(...)`` → ``(...)``."""
    return functional.huber_loss(distance, torch.zeros_like(distance), reduction="none", delta=HUBER_DELTA)


def wing(distance: Tensor) -> Tensor:
    """``w log(1 + |d| / e)`` up to ``w``, then a line (Feng et al. 2018): steep where errors are small.

    >>> wing(torch.tensor([0.0])).item()
    0.0
    """
    size = distance.abs()
    offset = WING_WIDTH - WING_WIDTH * math.log1p(WING_WIDTH / WING_CURVE)
    return torch.where(size < WING_WIDTH, WING_WIDTH * (size / WING_CURVE).log1p(), size - offset)


DISTANCES = {"huber": huber, "wing": wing}


class LandmarkGuide(Component):
    """Which keypoint follows which landmark, and how far off it is.

    Args:
        keypoints: numbers of the implicit keypoints that are guided.
        landmarks: numbers of the 68 landmarks that they follow, in the same order.
        distance: ``"huber"`` (Takin-ADA) or ``"wing"`` (LivePortrait).

    Raises:
        ConfigError: for lists of different length or numbers that do not exist.
    """

    def __init__(
        self,
        *,
        keypoints: Sequence[int] = KEYPOINTS,
        landmarks: Sequence[int] = LANDMARKS,
        distance: str = "huber",
    ) -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise ConfigError(f"there is no distance '{distance}'; known: {did_you_mean(distance, DISTANCES)}.")
        if len(keypoints) != len(landmarks) or len(set(keypoints)) < len(keypoints):
            raise ConfigError(
                f"{len(keypoints)} keypoints are to follow {len(landmarks)} landmarks; name as many of each, and no "
                "keypoint twice."
            )
        if not all(0 <= number < 68 for number in landmarks):
            raise ConfigError(f"landmarks are numbered 0 to 67, got {list(landmarks)}.")
        self.keypoints = list(keypoints)
        self.landmarks = list(landmarks)
        self.distance = DISTANCES[distance]

    def check_keypoints(self, count: int) -> None:
        """Refuse a representation that lacks a guided keypoint.

        Raises:
            ConfigError: naming the setting.
        """
        if not all(0 <= number < count for number in self.keypoints):
            raise ConfigError(
                f"landmarks are to guide keypoints {self.keypoints}, and this representation has {count}, numbered "
                "from 0. Name others in guide.keypoints."
            )

    def forward(self, points: Tensor, landmarks: Tensor) -> Tensor:
        """How far the guided keypoints are from their landmarks in the picture plane.

        Args:
            points: placed keypoints ``(B, K, 3)``.
            landmarks: ``(B, 68, 2)``, x and y as fractions of the frame; NaN where unknown, which does not count.

        Returns:
            Scalar, at least 0: mean over landmarks and axes.
        """
        check_shape(landmarks, (len(points), 68, 2), "landmarks")
        wanted = landmarks[:, self.landmarks] * 2 - 1
        known = wanted.isfinite()
        distance = self.distance(torch.where(known, points[:, self.keypoints, :2] - wanted, 0))
        return distance.sum() / known.sum().clamp(min=1)
