"""Network blocks that several rooms share."""

from talkingface.core.nn.conformer import Conformer
from talkingface.core.nn.equalized import ActivatedConv2d, EqualConv2d, EqualLinear
from talkingface.core.nn.fir import Blur, upsample
from talkingface.core.nn.lia_trunk import LIATrunk, ResidualBlock, lia_channels

__all__ = [
    "ActivatedConv2d",
    "Blur",
    "Conformer",
    "EqualConv2d",
    "EqualLinear",
    "LIATrunk",
    "ResidualBlock",
    "lia_channels",
    "upsample",
]
