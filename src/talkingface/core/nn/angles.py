"""Head pose from binned angles, as Hopenet and the published motion extractors read it (Ruiz et al. 2018)."""

import torch
from torch import Tensor, nn

from talkingface.core.geometry import expected_degrees

BINS = 66
ANGLES = ("yaw", "pitch", "roll")


class AngleHeads(nn.ModuleDict):
    """Code → yaw, pitch and roll, each the expectation over 66 bins of three degrees.

    Args:
        channels: width of the code.
        first_bin: degrees below zero of the first bin, :data:`~talkingface.core.geometry.LIVEPORTRAIT_BINS` or
            :data:`~talkingface.core.geometry.HOPENET_BINS`.
    """

    def __init__(self, channels: int, first_bin: float) -> None:
        super().__init__({angle: nn.Linear(channels, BINS) for angle in ANGLES})
        self.first_bin = first_bin

    def forward(self, code: Tensor) -> Tensor:
        """``(N, channels)`` → yaw, pitch, roll in degrees, ``(N, 3)``."""
        # float32 even under autocast: a bin of bfloat16 is off by a quarter
        return torch.stack([expected_degrees(self[angle](code).float(), self.first_bin) for angle in ANGLES], -1)
