"""Pose, expression and landmarks of synthetic people as features that metrics ask for; all from one pass."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkingface.evaluation.face_reader import READABLE, SIZE, WEIGHTS, read_faces, readable
from talkingface.metrics.track import Extractor, Track
from talkingface.weights import sha256

FEATURE = "face-reader"
CONVENTION = (
    f"face-reader: synthetic people only; centre square resized to {SIZE} px, antialiased; "
    f"expression of {', '.join(READABLE)}"
)


class FaceReaderPass(Extractor):
    """One pass of the reader over a track, ``(T, 9 + 16 + 136)``; what the three below share."""

    convention = CONVENTION

    def extract(self, track: Track) -> Tensor:
        """Rotation, expression and landmarks in one row."""
        reading = read_faces(track.data.movedim(1, -1).numpy(), self.device)
        return torch.cat([reading.rotation.flatten(1), reading.expression, reading.landmarks.flatten(1)], dim=1)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Extractor.describe`, with the checksum of the shipped weights."""
        return {"convention": self.convention, "sha256": {FEATURE: sha256(WEIGHTS)}}


class SyntheticPose(FaceReaderPass):
    """Head rotation ``(T, 3, 3)``."""

    def extract(self, track: Track) -> Tensor:
        """Rotation matrices of the frames."""
        return track.feature(FEATURE)[:, :9].reshape(-1, 3, 3)


class SyntheticExpression(FaceReaderPass):
    """The readable expression parameters ``(T, len(READABLE))``."""

    def extract(self, track: Track) -> Tensor:
        """Parameters in the order of :data:`READABLE`."""
        return readable(track.feature(FEATURE)[:, 9:-136])


class SyntheticLandmarks(FaceReaderPass):
    """The 68 landmarks ``(T, 68, 2)`` in pixels of the frame."""

    def extract(self, track: Track) -> Tensor:
        """Landmarks; a pixel's centre is at its index plus one half."""
        height, width = track.data.shape[-2:]
        side = min(height, width)
        corner = torch.tensor([(width - side) // 2, (height - side) // 2])
        return track.feature(FEATURE)[:, -136:].reshape(-1, 68, 2) * side + corner


def synthetic_extractors(device: str = "cpu") -> Mapping[str, Extractor]:
    """Extractors of ``pose``, ``expression`` and ``landmarks`` for synthetic people, and the one pass that they share.

    Args:
        device: where the reader computes.
    """
    return {
        FEATURE: FaceReaderPass(device),
        "pose": SyntheticPose(device),
        "expression": SyntheticExpression(device),
        "landmarks": SyntheticLandmarks(device),
    }
