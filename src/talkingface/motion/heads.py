"""What both published motion extractors read keypoints off their trunk with."""

from torch import nn

# Of the weights at the start: the keypoints of a new network lie still within some hundredths, as much as the
# expression of a released one moves them (0.08 at most), instead of being thrown across the picture.
STD = 0.002


def keypoint_head(channels: int, width: int) -> nn.Linear:
    """Linear layer from a normalised code ``(N, channels)`` to ``(N, width)`` coordinates."""
    layer = nn.Linear(channels, width)
    nn.init.trunc_normal_(layer.weight, std=STD)
    nn.init.zeros_(layer.bias)
    return layer
