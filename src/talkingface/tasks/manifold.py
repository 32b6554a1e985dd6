"""Whether a point of the motion space means the same on every face (AniTalker, Figure 7)."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from talkingface.core.images import to_uint8
from talkingface.core.interfaces import MotionEncoder, Renderer
from talkingface.core.media import write_picture
from talkingface.tasks.reconstruction import Reconstruction

DRIVING = 64  # pictures among which the two that differ most are looked for


@torch.no_grad()
def motion_manifold(
    motion_encoder: MotionEncoder, renderer: Renderer, portraits: Tensor, first: Tensor, second: Tensor, steps: int = 7
) -> Tensor:
    """Walk in a straight line from one motion to another, on several people at once.

    Args:
        motion_encoder, renderer: of one model.
        portraits: ``(P, 3, H, W)`` in ``[-1, 1]``.
        first, second: pictures ``(3, H, W)`` whose motions are the ends.
        steps: points on the line, ends included.

    Returns:
        uint8 ``(P * H, (1 + steps) * W, 3)``: a row a person, the portrait and then the points.
    """
    start, end = motion_encoder(torch.stack([first, second]))
    line = torch.lerp(start, end, torch.linspace(0, 1, steps, device=start.device)[:, None])
    columns = [portraits]
    appearance = renderer.appearance(portraits)
    columns += [renderer(appearance, point.expand(len(portraits), -1)).image for point in line]
    return torch.cat(list(to_uint8(torch.cat([column.float().cpu() for column in columns], dim=-1))))


def farthest_pair(motion: Tensor) -> tuple[int, int]:
    """The two rows of ``(N, D)`` with the largest distance, the earlier one first.

    >>> farthest_pair(torch.tensor([[0.0], [3.0], [-1.0]]))
    (1, 2)
    """
    first, second = divmod(int(torch.cdist(motion, motion).argmax()), len(motion))
    return min(first, second), max(first, second)


class MotionManifold(L.Callback):
    """Write ``motion_manifold.png`` into the log folder when training ends.

    The rows are people of the validation set; the line goes between the two of their driving pictures whose motions
    differ most.

    Args:
        rows: people shown.
        steps: points on the line, ends included.
    """

    def __init__(self, rows: int = 4, steps: int = 7) -> None:
        self.rows = rows
        self.steps = steps
        self._portraits: dict[int, Tensor] = {}
        self._driving: list[Tensor] = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Remember the first people and their driving pictures."""
        if not isinstance(module, Reconstruction) or not trainer.is_global_zero:
            return
        if batch_idx == 0:
            self._portraits, self._driving = {}, []
        for person, source, driving in zip(batch["identity"].tolist(), batch["source"], batch["driving"], strict=True):
            if len(self._portraits) < self.rows:
                self._portraits.setdefault(person, source.cpu())
            if len(self._driving) < DRIVING:
                self._driving.append(driving.cpu())

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Nothing is written by a run that never validated."""
        if not self._portraits or not isinstance(module, Reconstruction):
            return
        portraits, driving = (
            torch.stack(list(pictures)).to(module.device) for pictures in (self._portraits.values(), self._driving)
        )
        training = module.training
        module.eval()
        with torch.no_grad():
            first, second = farthest_pair(module.motion_encoder(driving))
        picture = motion_manifold(
            module.motion_encoder, module.renderer, portraits, driving[first], driving[second], self.steps
        )
        module.train(training)
        write_picture(Path(trainer.log_dir or trainer.default_root_dir) / "motion_manifold.png", picture.numpy())
