"""The loss of the first step, before anything is learned: whether two parts fit together, and how they start."""

import json
from pathlib import Path
from typing import Any

import lightning as L

from talkingface.core.files import write_text

FILE = "first_loss.json"


class FirstLoss(L.Callback):
    """Write the loss of the first training step into the run's folder; logs only begin fifty steps later."""

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Only of the first step of the first epoch."""
        if trainer.current_epoch == batch_idx == 0 and trainer.is_global_zero:
            write_text(Path(trainer.default_root_dir) / FILE, json.dumps(float(outputs["loss"])) + "\n")
