"""Small networks that correct driving keypoints: stitching, eyes and lips (LivePortrait, section 3.2)."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.component import Component

STITCHING = (128, 128, 64)  # hidden widths
EYES = (256, 256, 128, 128, 64)
LIPS = (128, 128, 64)


class Retargeting(Component):
    """Keypoints of portrait and driving → keypoints that leave the shoulders in place, open eyes and lips as told.

    The three networks share no weights. A new one changes nothing: its last layer is zero.

    Args:
        keypoints: number of keypoints K.
    """

    def __init__(self, *, keypoints: int = 21) -> None:
        super().__init__()
        width = 3 * keypoints
        self.keypoints = keypoints
        self.stitching = _mlp(2 * width, STITCHING, width + 2)
        self.eyes = _mlp(width + 3, EYES, width)
        self.lips = _mlp(width + 2, LIPS, width)

    def stitch(self, source: Tensor, driving: Tensor) -> Tensor:
        """Driving keypoints that can be pasted back into the portrait's picture.

        Args:
            source: keypoints of the portrait ``(B, K, 3)``.
            driving: where the motion puts them, ``(B, K, 3)``.

        Returns:
            ``(B, K, 3)``: an offset for each keypoint and a shift of all in the plane are added to ``driving``.
        """
        self._check(source, driving)
        found = self.stitching(torch.cat((source, driving), -2).flatten(1))
        offsets, shift = found.split((3 * self.keypoints, 2), -1)
        in_plane = functional.pad(shift, (0, 1)).unsqueeze(-2)  # the depth stays
        stitched: Tensor = driving + offsets.view_as(driving) + in_plane
        return stitched

    def open_eyes(self, source: Tensor, now: Tensor, target: Tensor) -> Tensor:
        """Offsets that open or close the eyes.

        Args:
            source: keypoints of the portrait ``(B, K, 3)``.
            now: how far its left and right eye are open, height over width, ``(B, 2)``.
            target: how far both shall be, ``(B, 1)``.

        Returns:
            To be added to keypoints, ``(B, K, 3)``.
        """
        check_shape(now, (len(source), 2), "eye ratios")
        return self._opened(self.eyes, source, now, target, "target eye ratio")

    def open_lips(self, source: Tensor, now: Tensor, target: Tensor) -> Tensor:
        """Offsets that open or close the lips.

        Args:
            source: keypoints of the portrait ``(B, K, 3)``.
            now: how far its lips are open, height over width, ``(B, 1)``.
            target: how far they shall be, ``(B, 1)``.

        Returns:
            To be added to keypoints, ``(B, K, 3)``.
        """
        check_shape(now, (len(source), 1), "lip ratio")
        return self._opened(self.lips, source, now, target, "target lip ratio")

    def _opened(self, network: nn.Module, source: Tensor, now: Tensor, target: Tensor, name: str) -> Tensor:
        self._check(source)
        check_shape(target, (len(source), 1), name)
        offsets: Tensor = network(torch.cat((source.flatten(1), now, target), -1))
        return offsets.view_as(source)

    def _check(self, *points: Tensor) -> None:
        for keypoints in points:
            check_shape(keypoints, (len(points[0]), self.keypoints, 3), "keypoints")


def _mlp(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((inputs, *hidden)):
        layers += [nn.Linear(before, after), nn.ReLU()]
    last = nn.Linear(hidden[-1], outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
