"""The face reader: a small network that reads pose, expression and landmarks from synthetic frames, soft ones included.

It is the one instrument for all: its weights ship with the package. Made and measured by ``benchmarks/face_reader.py``.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.component import load_exactly
from talkingface.core.images import center_square, resize, to_float
from talkingface.core.tensors import read_tensors
from talkingface.data.synthetic import EXPRESSIONS

WEIGHTS = Path(__file__).with_name("face_reader.safetensors")
SIZE = 64  # pixels; other frames are resized
# R² of 0.5 or more on sharp and 0.3 or more on blurred (1.2 px) clips of people set aside for this choice; that leaves
# out press, gaze_y, sneer, smirk and eye_wide, which at 64 px are small, or look like another person's face
READABLE: tuple[str, ...] = (
    "jaw",
    "lip_width",
    "rounding",
    "smile",
    "brow_raise",
    "brow_furrow",
    "blink_left",
    "blink_right",
    "gaze_x",
    "lip_part",
    "brow_sad",
)
CENTRE = (0.4954, 0.5626)  # of the view in the usual face, as fractions of the frame: between brows and chin
_REACH = 0.2399  # half of the view's side there: a little more than brow to chin
_VIEW = 48  # pixels
_FIRM = [27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]  # nose, and corners of the eyes
_SCALE = ".scale"
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


class Levelled(nn.Module):
    """Each picture with mean 0 and standard deviation 1."""

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` → the same."""
        spread, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
        return (images - mean) / (spread + 1e-3)


class Placement(nn.Module):
    """Where the head is: its rotation and its landmarks, from the whole frame.

    The rotation is read as two columns of its matrix (Zhou et al., 2019, section 4).

    Attributes:
        mean_landmarks: of ordinary clips, ``(68, 2)``; the network only learns departures from them.
    """

    mean_landmarks: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((24, 2), (48, 2), (80, 2), (80, 1), (96, 2), last=48)  # 64 → 4 px
        self.hidden = nn.Sequential(nn.Linear(48 * 4 * 4, 128), nn.ReLU())
        self.head = nn.Linear(128, 6 + 68 * 2)
        self.register_buffer("mean_landmarks", torch.zeros(68, 2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, 3, 64, 64)`` in ``[-1, 1]`` → rotation ``(N, 3, 3)`` and landmarks ``(N, 68, 2)``."""
        return self.placed(self.hidden(self.trunk(images)))

    def placed(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The same from what the layer before the last holds, ``(N, 128)``."""
        turn, shift = self.head(hidden).split([6, 136], dim=1)
        first = functional.normalize(turn[:, :3] + turn.new_tensor([1.0, 0.0, 0.0]), dim=1)
        second = turn[:, 3:] + turn.new_tensor([0.0, 1.0, 0.0])
        second = functional.normalize(second - (first * second).sum(1, keepdim=True) * first, dim=1)
        matrix = torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)
        return matrix, self.mean_landmarks + shift.reshape(-1, 68, 2) / SIZE


class CloseUp(nn.Module):
    """What the face does, from a view in which it always has the same place and size.

    Expressions move a brow or a lip by about a pixel; a network that sees whole frames does not learn to tell that from
    a movement of the head (tried: R² near 0 for all but jaw and lids).
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((24, 1), (40, 2), (48, 1), (48, 2), (64, 1), (64, 2), last=20)  # 48 → 6 px
        self.hidden = nn.Sequential(nn.Linear(20 * 6 * 6 + 9, 96), nn.ReLU())
        self.head = nn.Linear(96, len(EXPRESSIONS))

    def forward(self, views: Tensor, rotation: Tensor) -> Tensor:
        """Views ``(N, 3, 48, 48)`` and rotations ``(N, 3, 3)`` → expression ``(N, 16)``."""
        seen = torch.cat([self.trunk(views), rotation.flatten(1)], dim=1)
        expression: Tensor = self.head(self.hidden(seen))
        return expression


class FaceReader(nn.Module):
    """First where the head is, then, from a close-up of it, what the face does.

    Attributes:
        mean_expression: of ordinary clips, ``(16,)``.
    """

    mean_expression: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.placement = Placement()
        self.close_up = CloseUp()
        self.register_buffer("mean_expression", torch.zeros(len(EXPRESSIONS)))

    def forward(self, images: Tensor) -> FaceReading:
        """``(N, 3, 64, 64)`` in ``[-1, 1]``; brightness and contrast do not matter."""
        rotation, landmarks = self.placement(images)
        views = view(images, *align(landmarks, self.placement.mean_landmarks))
        return FaceReading(rotation, self.close_up(views, rotation), landmarks)


def align(landmarks: Tensor, usual: Tensor) -> tuple[Tensor, Tensor]:
    """Similarities that carry the usual face onto faces: least squares over points that expressions hardly move.

    Args:
        landmarks: ``(N, 68, 2)``.
        usual: ``(68, 2)``.

    Returns:
        Matrix ``(N, 2, 2)`` and shift ``(N, 2)``: ``point = matrix @ usual + shift``.
    """
    start, end = usual[_FIRM], landmarks[:, _FIRM]
    from_centre, to_centre = start.mean(0), end.mean(1)
    x, y = start - from_centre, end - to_centre[:, None]
    length = x.square().sum()
    cosine = (x * y).sum((1, 2)) / length
    sine = (x[:, 0] * y[..., 1] - x[:, 1] * y[..., 0]).sum(1) / length
    matrix = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    return matrix, to_centre - matrix @ from_centre


def view(images: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Cut faces out, upright and of one size, ``(N, 3, 48, 48)``; matrix and shift as :func:`align` gives them."""
    steps = torch.linspace(-1 + 1 / _VIEW, 1 - 1 / _VIEW, _VIEW, device=images.device)
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    usual = torch.stack([across, down], -1).reshape(-1, 2) * _REACH + steps.new_tensor(CENTRE)
    points = usual @ matrix.transpose(1, 2) + shift[:, None]
    grid = (2 * points - 1).reshape(-1, _VIEW, _VIEW, 2)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for the file: matrices as bytes with a scale a row, the rest in half precision."""
    small: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2 or not name.endswith("weight"):
            small[name] = value.half() if value.is_floating_point() else value
            continue
        scale = value.flatten(1).abs().amax(1).clamp_min(1e-8) / 127
        small[name] = (value / scale.reshape(-1, *[1] * (value.ndim - 1))).round().to(torch.int8).contiguous()
        small[name + _SCALE] = scale
    return small


def unpacked(small: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`packed`."""
    state = {name: value for name, value in small.items() if not name.endswith(_SCALE)}
    for name, scale in ((name, value) for name, value in small.items() if name.endswith(_SCALE)):
        weight = state[name.removesuffix(_SCALE)].float()
        state[name.removesuffix(_SCALE)] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return state


def _trunk(*layers: tuple[int, int], last: int) -> nn.Sequential:
    """3×3 convolutions of a width and stride each, a last one of 1×1, and all of it in one row."""
    parts: list[nn.Module] = [Levelled()]
    width = 3
    for channels, stride in layers:
        parts += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        width = channels
    return nn.Sequential(*parts, nn.Conv2d(width, last, 1), nn.ReLU(), nn.Flatten())


@functools.cache
def load_face_reader(device: str = "cpu") -> FaceReader:
    """The reader with the weights of the package; loaded once a process and device.

    Args:
        device: where it computes.

    Raises:
        WeightsError: when the shipped file is missing or does not fit; never a random network.
    """
    reader = FaceReader()
    load_exactly(reader, unpacked(read_tensors(WEIGHTS)), str(WEIGHTS))
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
