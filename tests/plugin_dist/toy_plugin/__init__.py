"""A plugin distribution for the tests: the smallest parts that can be trained, saved and animated."""

import torch
from torch import Tensor, nn

from talkingface.core.interfaces import MotionEncoder, Renderer
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import RenderOutput, Source


class ColourMotion(MotionEncoder):
    """The mean colour of a picture is its motion, times a learned gain.

    Args:
        gain: where the learned gain starts.
    """

    def __init__(self, *, gain: float = 1.0) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"colour": 3})
        self.gain = nn.Parameter(torch.full((3,), gain))

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((2, 3)) * self.gain


class TintRenderer(Renderer):
    """Shifts the portrait so that its mean colour becomes the motion.

    Args:
        size: side of the pictures, in pixels.
    """

    accepts = "vector"

    def __init__(self, motion_encoder: MotionEncoder, /, *, size: int = 32) -> None:
        super().__init__()
        self.size = size
        self.bias = nn.Parameter(torch.zeros(3))
        self._encoder = [motion_encoder]  # wired, not owned: its weights are saved once

    def appearance(self, image: Tensor) -> Source:
        motion = self._encoder[0](image)
        return Source((image,), motion, motion)

    def forward(self, source: Source, motion: Tensor) -> RenderOutput:
        shift = (motion - source.motion + self.bias)[:, :, None, None]
        flow = torch.zeros(len(motion), self.size, self.size, 2)
        return RenderOutput(source.features[0] + shift, flow, torch.ones(len(motion), 1, self.size, self.size))
