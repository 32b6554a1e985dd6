"""A task and a data module that train the toy parts in a second."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from talkingface._version import __version__
from talkingface.core.interfaces import Discriminator, MotionEncoder, Renderer


class ToyTask(L.LightningModule):
    """Renders one flat picture from another."""

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        renderer: Callable[[MotionEncoder], Renderer],
        discriminator: Discriminator | None = None,
        loss_weights: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.motion_encoder = motion_encoder
        self.renderer = renderer(motion_encoder)
        self.loss_weights = loss_weights or {"l1": 1.0}

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        motion = self.motion_encoder(batch["driving"])
        image = self.renderer(self.renderer.appearance(batch["source"]), motion).image
        loss = self.loss_weights["l1"] * (image - batch["driving"]).abs().mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self.log("val_loss", self.training_step(batch, index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        parts = {"motion_encoder": self.motion_encoder.config, "renderer": self.renderer.config}
        config = {
            "class_path": "toy_plugin.training.ToyTask",
            "init_args": {**parts, "loss_weights": self.loss_weights},
        }
        checkpoint["talkingface"] = {
            "format": 1, "version": __version__, "git": None, "config": config, "parts": parts
        }  # fmt: skip


class ToyData(L.LightningDataModule):
    """Random flat pictures."""

    def __init__(self, size: int = 32, pairs: int = 8, batch: int = 4) -> None:
        super().__init__()
        self.size, self.pairs, self.batch = size, pairs, batch

    def _loader(self) -> DataLoader[dict[str, Tensor]]:
        colours = torch.rand(self.pairs, 2, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
        pictures = colours[..., None, None].expand(-1, -1, -1, self.size, self.size)
        return DataLoader([{"source": a, "driving": b} for a, b in pictures], batch_size=self.batch)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return self._loader()

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return self._loader()
