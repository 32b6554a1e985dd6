"""The face reader: a small network that reads pose, expression and landmarks from synthetic frames, soft ones included.

It is the one instrument for all: its weights ship with the package. Made and measured by ``benchmarks/face_reader.py``.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.component import load_exactly
from talkingface.core.images import center_square, resize, to_float
from talkingface.core.tensors import read_tensors
from talkingface.data.synthetic import EXPRESSIONS
from talkingface.metrics.track import Extractor, Track
from talkingface.weights import sha256

WEIGHTS = Path(__file__).with_name("face_reader.safetensors")
SIZE = 64  # pixels; other frames are resized
READABLE: tuple[str, ...] = EXPRESSIONS
FEATURE = "face-reader"
CONVENTION = (
    f"face-reader: synthetic people only; centre square resized to {SIZE} px, antialiased; "
    f"expression of {', '.join(READABLE)}"
)
_CHANNELS = ((24, 2), (48, 2), (80, 2), (80, 1), (96, 2))  # width and stride of the 3×3 convolutions: 64 → 4 px
_BATCH = 64


@dataclass(frozen=True)
class FaceReading:
    """What the reader reads, or what is true.

    Attributes:
        rotation: of the head, ``(N, 3, 3)``, :func:`talkingface.core.geometry.rotation`'s convention.
        expression: all parameters of ``EXPRESSIONS``, ``(N, 16)``; see :func:`readable`.
        landmarks: ``(N, 68, 2)``, x and y as fractions of the frame.
    """

    rotation: Tensor
    expression: Tensor
    landmarks: Tensor

    @property
    def location(self) -> Tensor:
        """x of the nose tip in ``[0, 1]``, ``(N,)``."""
        return self.landmarks[:, 30, 0]

    @property
    def scale(self) -> Tensor:
        """Mid-point of landmarks 21 and 22 to landmark 8, over the frame height, ``(N,)``."""
        brow = (self.landmarks[:, 21] + self.landmarks[:, 22]) / 2
        length: Tensor = torch.linalg.vector_norm(brow - self.landmarks[:, 8], dim=-1)
        return length


def readable(expression: Tensor) -> Tensor:
    """The expression parameters that the reader reads reliably, ``(..., 16)`` → ``(..., len(READABLE))``."""
    return expression[..., [EXPRESSIONS.index(name) for name in READABLE]]


class FaceReader(nn.Module):
    """Five convolutions and two linear layers; the pose is read as two columns of its matrix (Zhou et al., 2019).

    The usual face is a buffer, so that the network only learns departures from it.

    Attributes:
        mean_expression: of ordinary clips, ``(16,)``.
        mean_landmarks: of ordinary clips, ``(68, 2)``.
    """

    mean_expression: Tensor
    mean_landmarks: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for channels, stride in _CHANNELS:
            layers += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            width = channels
        layers += [nn.Conv2d(width, 48, 1), nn.ReLU(), nn.Flatten()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(48 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 6 + len(EXPRESSIONS) + 136))
        self.register_buffer("mean_expression", torch.zeros(len(EXPRESSIONS)))
        self.register_buffer("mean_landmarks", torch.zeros(68, 2))

    def forward(self, images: Tensor) -> FaceReading:
        """``(N, 3, 64, 64)`` in ``[-1, 1]``; brightness and contrast do not matter."""
        return self.reading(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """What the convolutions see, ``(N, 768)``."""
        spread, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
        features: Tensor = self.trunk((images - mean) / (spread + 1e-3))
        return features

    def reading(self, features: Tensor) -> FaceReading:
        """Features ``(N, 768)`` as poses, expressions and landmarks."""
        turn, expression, shift = self.head(features).split([6, len(EXPRESSIONS), 136], dim=1)
        first = functional.normalize(turn[:, :3] + turn.new_tensor([1.0, 0.0, 0.0]), dim=1)
        second = turn[:, 3:] + turn.new_tensor([0.0, 1.0, 0.0])
        second = functional.normalize(second - (first * second).sum(1, keepdim=True) * first, dim=1)
        matrix = torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)
        return FaceReading(
            matrix, self.mean_expression + expression, self.mean_landmarks + shift.reshape(-1, 68, 2) / SIZE
        )


@functools.cache
def load_face_reader(device: str = "cpu") -> FaceReader:
    """The reader with the weights of the package; loaded once a process and device.

    Args:
        device: where it computes.

    Raises:
        WeightsError: when the shipped file is missing or does not fit; never a random network.
    """
    reader = FaceReader()
    load_exactly(reader, read_tensors(WEIGHTS), str(WEIGHTS))  # float16 in the file, copied into float32
    return reader.eval().requires_grad_(False).to(device)


@torch.inference_mode()
def read_faces(frames: NDArray[np.uint8], device: str | torch.device = "cpu") -> FaceReading:
    """Read frames.

    Args:
        frames: uint8 ``(T, H, W, 3)``, synthetic people; the centre square is looked at.
        device: where to compute; the reading comes back on the CPU.

    Returns:
        One row a frame. The reader always answers: what it says of a picture without a face means nothing.
    """
    reader = load_face_reader(str(device))
    parts = []
    for start in range(0, len(frames), _BATCH):
        pixels = torch.as_tensor(np.ascontiguousarray(center_square(frames[start : start + _BATCH]))).to(device)
        parts.append(reader(resize(to_float(pixels), SIZE)))
    return FaceReading(
        *(torch.cat([getattr(part, name) for part in parts]).cpu() for name in ("rotation", "expression", "landmarks"))
    )


class _FaceReaderExtractor(Extractor):
    """One pass of the reader over a track, ``(T, 9 + 16 + 136)``; what the three below share."""

    convention = CONVENTION

    def extract(self, track: Track) -> Tensor:
        """Rotation, expression and landmarks in one row."""
        reading = read_faces(track.data.movedim(1, -1).numpy(), self.device)
        return torch.cat([reading.rotation.flatten(1), reading.expression, reading.landmarks.flatten(1)], dim=1)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Extractor.describe`, with the checksum of the shipped weights."""
        return {"convention": self.convention, "sha256": {FEATURE: sha256(WEIGHTS)}}


class SyntheticPose(_FaceReaderExtractor):
    """Head rotation ``(T, 3, 3)``."""

    def extract(self, track: Track) -> Tensor:
        """Rotation matrices of the frames."""
        return track.feature(FEATURE)[:, :9].reshape(-1, 3, 3)


class SyntheticExpression(_FaceReaderExtractor):
    """The readable expression parameters ``(T, len(READABLE))``."""

    def extract(self, track: Track) -> Tensor:
        """Parameters in the order of :data:`READABLE`."""
        return readable(track.feature(FEATURE)[:, 9:-136])


class SyntheticLandmarks(_FaceReaderExtractor):
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
        FEATURE: _FaceReaderExtractor(device),
        "pose": SyntheticPose(device),
        "expression": SyntheticExpression(device),
        "landmarks": SyntheticLandmarks(device),
    }
