"""Pose, place, size, landmarks and expression of synthetic people, measured in pictures by the face reader."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.geometry import euler
from talkingface.core.interfaces import ControlReader
from talkingface.core.media import VideoReader
from talkingface.evaluation.face_reader import WEIGHTS, read_faces
from talkingface.weights import sha256

BATCH = 64  # frames of a clip held at once


class SyntheticControls(ControlReader):
    """Reads synthetic people, of whom networks for real faces know nothing; of other pictures it says nonsense.

    The expression is that of :data:`talkingface.data.synthetic.EXPRESSIONS`, 16 parameters, of which it reads
    :data:`~.face_reader.READABLE` reliably.

    Args:
        device: where the network computes.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        super().__init__()
        self.device = device

    def fingerprint(self) -> str:
        """The face reader's weights."""
        return sha256(WEIGHTS)

    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """See :meth:`ControlReader.read`; the centre square is looked at."""
        if frames is None:
            assert clip is not None, "there is either a clip or its pictures"
            with VideoReader(clip) as reader:
                parts = [self.read(None, batch) for batch in reader.stream(BATCH)]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        reading = read_faces(frames, self.device)
        height, width = frames.shape[1:3]
        side, size = min(height, width), torch.tensor([width, height])
        return {
            "pose": euler(reading.rotation),
            "location": (reading.location * side + (width - side) / 2) / width,
            "scale": reading.scale * side / height,
            "landmarks": (reading.landmarks * side + (size - side) / 2) / size,
            "expression": reading.expression,
        }
