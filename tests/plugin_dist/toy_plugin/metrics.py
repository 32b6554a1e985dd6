"""What evaluations need of a plugin: features a frame, features a window of frames, and a metric of the former."""

import torch
from torch import Tensor

from talkingface.metrics import Extractor, MeanMetric, Track

WINDOW = 16


class Colour(Extractor):
    """Mean colour of each frame; nothing is found in a frame darker than 16."""

    convention = "colour: mean over pixels"

    def extract(self, track: Track) -> Tensor:
        colour = track.data.float().mean((2, 3))
        return torch.where(colour.mean(1, keepdim=True) < 16, torch.nan, colour)


class ColourWindows(Extractor):
    """Mean and last colour of each 16 frames, among zeros, in place of the 400 I3D features of FVD."""

    convention = "colour windows"
    temporal = True

    def extract(self, track: Track) -> Tensor:
        windows = track.data.float().mean((2, 3)).unfold(0, WINDOW, WINDOW)  # (n, 3, 16)
        return torch.nn.functional.pad(torch.cat([windows.mean(-1), windows[..., -1]], dim=1), (0, 394))


class ColourDistance(MeanMetric):
    """Largest difference of the mean colours."""

    unit = ""
    higher_is_better = False
    range = (0.0, 255.0)
    needs = ("video.colour", "target.colour")
    convention = "colour/max: largest difference of mean colours"
    citation = "nobody"
    penalty = 255.0

    def values(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return (ours - theirs).abs().amax(1)
