"""``talkingface predict``: every rendered picture as a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from talkingface.core.images import to_uint8
from talkingface.core.media import write_picture


class PictureWriter(BasePredictionWriter):
    """Write ``predictions/CLIP/NNNNN.png`` into the log folder, lossless and in the order of the data set."""

    def __init__(self) -> None:
        super().__init__("batch")

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: Tensor,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write one batch ``(B, 3, H, W)`` in ``[-1, 1]``."""
        folder = Path(trainer.log_dir or trainer.default_root_dir) / "predictions"
        places = batch_indices or range(batch_idx * len(prediction), (batch_idx + 1) * len(prediction))
        for place, clip, picture in zip(places, batch["clip_id"], to_uint8(prediction).cpu().numpy(), strict=False):
            write_picture(folder / clip.replace("/", "_") / f"{place:05d}.png", picture)
