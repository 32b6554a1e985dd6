"""Wav2Lip's expert of lip synchrony: lips and speech in one space (Prajwal et al. 2020, section 3.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.component import Component
from talkingface.core.images import resize
from talkingface.core.sync_window import BANDS, COLUMNS, FRAMES

SIZE = 96  # side of a face, in pixels; its lower half is looked at
# channels, kernel, stride and padding of a layer, and how many residual layers of three by three follow it
Layer = tuple[int, int, int | tuple[int, int], int, int]
LIPS: tuple[Layer, ...] = (
    (32, 7, 1, 3, 0),
    (64, 5, (1, 2), 1, 2),
    (128, 3, 2, 1, 3),
    (256, 3, 2, 1, 2),
    (512, 3, 2, 1, 2),
    (512, 3, 2, 1, 0),
    (512, 3, 1, 0, 0),
    (512, 1, 1, 0, 0),
)
SPEECH: tuple[Layer, ...] = (
    (32, 3, 1, 1, 2),
    (64, 3, (3, 1), 1, 2),
    (128, 3, 3, 1, 2),
    (256, 3, (3, 2), 1, 2),
    (512, 3, 1, 0, 0),
    (512, 1, 1, 0, 0),
)


class SyncExpert(Component):
    """Tells how well lips fit the sound, in a fifth of a second; 16.4 million parameters at full width.

    Its judgement is for training. What it thinks of a clip is no LSE: that is measured by another network.

    Args:
        width: of all layers, relative to the published ones.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        self.lips = nn.Sequential(*_tower(3 * FRAMES, LIPS, width))
        self.speech = nn.Sequential(*_tower(1, SPEECH, width))

    def see(self, frames: Tensor) -> Tensor:
        """Embed faces.

        Args:
            frames: five frames each, ``(B, 5, 3, H, W)`` in ``[-1, 1]``, with the mouth in the lower half; squares of
                another size than 96 px are resized.

        Returns:
            ``(B, 512)``, of length 1 and not negative.
        """
        check_shape(frames, ("B", FRAMES, 3, "H", "W"), "frames")
        faces = resize(frames.flatten(0, 1), SIZE).unflatten(0, (-1, FRAMES))
        lower = faces[..., SIZE // 2 :, :].flip(2)  # the published network was trained on what OpenCV reads: BGR
        return functional.normalize(self.lips((lower.flatten(1, 2) + 1) / 2).flatten(1))

    def hear(self, mel: Tensor) -> Tensor:
        """Embed mel spectrograms ``(B, 80, 16)``, see :func:`talkingface.audio.sync_mel`; as :meth:`see` does."""
        check_shape(mel, ("B", BANDS, COLUMNS), "mel")
        return functional.normalize(self.speech(mel[:, None]).flatten(1))

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Cosine of what is seen and what is heard, ``(B,)`` in ``[0, 1]``: taken as the probability of synchrony."""
        return agreement(self.see(frames), self.hear(mel))


def agreement(seen: Tensor, heard: Tensor) -> Tensor:
    """Cosine ``(...)`` of embeddings ``(..., 512)`` of length 1; in float32, and within ``[0, 1]`` despite rounding."""
    with torch.autocast(seen.device.type, enabled=False):
        return (seen.float() * heard.float()).sum(-1).clamp(0, 1)


class _Unit(nn.Module):
    """Convolution and batch norm, and the input added where it is residual, before the ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int], padding: int, residual: bool
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.norm = nn.BatchNorm2d(outputs)
        self.residual = residual

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.norm(self.convolution(maps))
        return functional.relu(found + maps if self.residual else found)


def _tower(inputs: int, layers: Iterable[Layer], width: float) -> list[_Unit]:
    units = []
    for channels, kernel, stride, padding, repeats in layers:
        outputs = max(1, round(channels * width))
        units.append(_Unit(inputs, outputs, kernel, stride, padding, residual=False))
        units += [_Unit(outputs, outputs, 3, 1, 1, residual=True) for _ in range(repeats)]
        inputs = outputs
    return units
