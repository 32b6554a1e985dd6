"""What tests of speech clips share: tiny encoders, and a task that only keeps what it is served."""

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from talkingface.core.interfaces import AudioEncoder
from talkingface.motion import LatentMotion

TINY: dict[str, Any] = {"size": 64, "width": 0.0625, "code_dim": 32, "dim": 4}


class Loudness(AudioEncoder):
    """Loudness of each half frame, twice: two layers, two steps a frame, one channel; ``gain`` is its frozen step."""

    def __init__(self, *, dim: int = 8, gain: float = 1.0) -> None:
        super().__init__()
        self.dim, self.rate, self.layers, self.channels, self.context = dim, 50, 2, 1, 0.08
        self.gain = gain
        self.linear = nn.Linear(1, dim)
        self.pieces: list[int] = []  # samples of each piece that was looked at

    def features(self, wave: Tensor) -> Tensor:
        self.pieces.append(wave.shape[-1])
        loudness = self.gain * wave.unflatten(-1, (-1, 320)).square().mean(-1)
        return torch.stack((loudness, -loudness), 1)[..., None]

    def forward(self, features: Tensor, frames: int) -> Tensor:
        condition: Tensor = self.linear(features.float().mean(1).unflatten(1, (frames, -1)).mean(2))
        return condition

    def fingerprint(self) -> str:
        return f"loudness-{self.gain}"


def latent(seed: int = 0) -> LatentMotion:
    """A random tiny motion encoder."""
    torch.manual_seed(seed)
    return LatentMotion(**TINY)


class Keeper(L.LightningModule):
    """Keeps the batches that it is served."""

    def __init__(self, motion_encoder: nn.Module, audio_encoder: nn.Module) -> None:
        super().__init__()
        self.motion_encoder = motion_encoder
        self.audio_encoder = audio_encoder
        self.batches: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.batches.append(batch)
        loss: Tensor = self.audio_encoder(batch["features"], batch["motion"].shape[1]).mean()
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.audio_encoder.parameters(), 0.0)


def fitted(data: L.LightningDataModule, task: Keeper, **options: Any) -> Keeper:
    """Train on the CPU, quietly."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    L.Trainer(**{"accelerator": "cpu", "max_epochs": 1, "limit_val_batches": 0, **quiet, **options}).fit(task, data)
    return task
