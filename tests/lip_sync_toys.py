"""A clip whose brightness follows the loudness of its sound, and a stand-in for SyncNet that knows this."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from talkingface.core.mfcc import int16_values, mfcc
from talkingface.metrics.networks.syncnet import FEATURES, WINDOW

DARK, BRIGHT = 60.0, 150.0  # shades of the quietest and the loudest frame; no step looks like a cut
QUIET, LOUD = 0.01, 3.0  # amplitude of the quietest frame, and the logarithm of how much louder the loudest is
SAMPLES = 640


def pattern(frames: int, seed: int = 0) -> NDArray[np.float64]:
    """How loud each frame is, ``(frames,)`` in [0, 1]; no stretch of it repeats."""
    draws = np.random.default_rng(seed).random(frames + 2)
    return (draws[:-2] + draws[1:-1] + draws[2:]) / 3


def loud_sound(levels: NDArray[np.float64], seed: int = 1) -> Tensor:
    """Noise at 16 kHz that is as loud as ``levels`` say; ``(frames * 640,)`` in [-1, 1]."""
    noise = np.random.default_rng(seed).uniform(-1, 1, len(levels) * SAMPLES)
    return torch.from_numpy((QUIET * np.exp(LOUD * levels.repeat(SAMPLES)) * noise).astype(np.float32))


def bright_frames(levels: NDArray[np.float64], size: int = 176) -> Tensor:
    """Grey frames that are as bright as ``levels`` say; uint8 ``(frames, 3, size, size)``."""
    shades = torch.from_numpy(np.rint(DARK + (BRIGHT - DARK) * levels)).byte()
    return shades[:, None, None, None].expand(-1, 3, size, size).contiguous()


class ToySyncNet(nn.Module):
    """Reads the level of each of five frames from brightness, and from the logarithm of the sound's power."""

    def __init__(self) -> None:
        super().__init__()
        self.silence = nn.Parameter(mfcc(int16_values(loud_sound(np.zeros(50))))[:, 0].mean().float())

    def lips(self, frames: Tensor) -> Tensor:
        levels = (frames.mean((1, 2, 3)) - DARK) / (BRIGHT - DARK)
        return self._row(levels.unfold(0, WINDOW, 1))

    def speech(self, windows: Tensor) -> Tensor:
        power = windows[:, 0, 0].unflatten(-1, (WINDOW, 4)).mean(-1)
        return self._row((power - self.silence) / (2 * LOUD))

    @staticmethod
    def _row(levels: Tensor) -> Tensor:
        return nn.functional.pad(levels, (0, FEATURES - WINDOW))
