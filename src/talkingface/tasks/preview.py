"""A strip of pictures every few epochs: source | driving | output | flow | mask."""

from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from talkingface.core.geometry import base_grid
from talkingface.core.images import to_uint8
from talkingface.core.media import write_picture
from talkingface.core.records import PairBatch, RenderOutput
from talkingface.tasks.reconstruction import Reconstruction


def flow_picture(flow: Tensor) -> Tensor:
    """Show where pixels come from: hue is the direction, brightness the length (a tenth of the frame is full).

    Args:
        flow: absolute sampling grid ``(B, H, W, 2)`` in ``[-1, 1]``.

    Returns:
        ``(B, 3, H, W)`` in ``[-1, 1]``; black where nothing moves.
    """
    offset = flow - base_grid(flow.shape[1], flow.shape[2], flow)
    length = (offset.norm(dim=-1) / 0.2).clamp(max=1.0)  # the frame is 2 wide
    angle = torch.atan2(offset[..., 1], offset[..., 0])
    thirds = angle.new_tensor([0.0, 2.0943951, 4.1887902])
    colour = 0.5 + 0.5 * torch.cos(angle.unsqueeze(-1) - thirds)
    picture: Tensor = colour * length.unsqueeze(-1) * 2 - 1
    return picture.movedim(-1, 1)


def preview_strip(source: Tensor, driving: Tensor, output: RenderOutput) -> Tensor:
    """One row a pair: source | driving | output | flow | mask.

    Returns:
        uint8 ``(B * H, 5 * W, 3)``.
    """
    mask = (output.occlusion * 2 - 1).expand_as(output.image)
    columns = [source, driving, output.image, flow_picture(output.flow), mask]
    pictures = torch.cat([column.float().cpu() for column in columns], dim=-1)
    return torch.cat(list(to_uint8(pictures)))


class PreviewStrip(L.Callback):
    """Write a strip of unseen people into the log folder and TensorBoard.

    Args:
        every: epochs between two strips.
        rows: pairs shown.
    """

    def __init__(self, every: int = 1, rows: int = 4) -> None:
        self.every = every
        self.rows = rows

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Render the first pairs of the first batch again, with flow and mask."""
        due = batch_idx == 0 and not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every == 0
        if not (due and trainer.is_global_zero and isinstance(module, Reconstruction)):
            return
        shown = cast(PairBatch, {name: values[: self.rows] for name, values in batch.items()})
        with torch.no_grad():
            strip = preview_strip(shown["source"], shown["driving"], module.renderer(*module.look(shown)))
        folder = Path(trainer.log_dir or trainer.default_root_dir) / "previews"
        write_picture(folder / f"epoch{trainer.current_epoch:04d}.png", strip.numpy())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("preview", strip.numpy(), trainer.global_step, dataformats="HWC")
