"""Training an expert of lip synchrony on clips of one's own (Wav2Lip, section 3.1; ControlTalk, section 3.3)."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from talkingface.audio import sync_mel
from talkingface.core.records import SyncBatch, SyncSweepBatch
from talkingface.losses import SyncExpert, agreement, sync_loss
from talkingface.tasks.optim import Adam, joint_optimizer
from talkingface.tasks.task import Task

NEAR = 1  # frames: an offset that counts as found; SyncNet's evaluation allows as much
FAR = 5  # frames: from this offset on window and sound have nothing in common


class Synchrony(Task):
    """Learn to tell the sound of five frames from that of another time.

    Args:
        expert: to be trained; it is exported as the part ``sync_expert``.
        optimizer: Adam of the expert (published: 1e-4).
    """

    suspects = "clips"

    def __init__(
        self,
        expert: SyncExpert,
        optimizer: Adam = Adam(1e-4, (0.9, 0.999)),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.sync_expert = expert
        self.optimizer = optimizer

    def forward(self, frames: Tensor, sound: Tensor) -> Tensor:
        """Probability ``(B, N)`` that frames ``(B, 5, 3, H, W)`` fit each of the sounds ``(B, N, 3801)``."""
        count = sound.shape[1]
        heard = self.sync_expert.hear(sync_mel(sound.flatten(0, 1))).unflatten(0, (-1, count))
        return agreement(self.sync_expert.see(frames)[:, None], heard)

    def training_step(self, batch: SyncBatch, batch_idx: int) -> Tensor:
        """Cross-entropy of each window with its own sound and with another."""
        found = self(batch["frames"], torch.stack([batch["sound"], batch["other"]], 1))
        truth = torch.tensor([1.0, 0.0], device=found.device).expand_as(found)
        loss = sync_loss(found, truth)
        right = (found[:, 0] > found[:, 1]).float().mean()
        values = {"train/loss": loss.detach(), "train/right": right}
        self.log_dict(values, batch_size=len(found), on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: SyncSweepBatch, batch_idx: int) -> None:
        """Loss, retrieval of the right offset, and the mean probability at each offset, on unseen people."""
        self._judge(batch, "val")

    def test_step(self, batch: SyncSweepBatch, batch_idx: int) -> None:
        """The same, on the people kept for the last look."""
        self._judge(batch, "test")

    def configure_optimizers(self) -> Optimizer:
        """One Adam."""
        return joint_optimizer({"expert": (self.sync_expert.parameters(), self.optimizer)})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the expert in plain JSON, so that the checkpoint can be exported without the recipe."""
        parts = {"sync_expert": self.sync_expert.config}
        checkpoint["talkingface"] = self.description(parts, {"expert": self.sync_expert.config})

    def _judge(self, batch: SyncSweepBatch, stage: str) -> None:
        found = self(batch["frames"], batch["sweep"])
        offsets = torch.arange(found.shape[1], device=self.device) - found.shape[1] // 2
        far = found[:, offsets.abs() >= FAR]
        right = found[:, offsets == 0]
        loss = (sync_loss(right, torch.ones_like(right)) + sync_loss(far, torch.zeros_like(far))) / 2
        strangers = self(batch["frames"], batch["sweep"].roll(1, 0))  # the control: another clip's sound
        values = {f"{stage}/loss": loss, f"{stage}/retrieval": retrieval(found)}
        values[f"{stage}/retrieval_shuffled"] = retrieval(strangers)
        values |= {
            f"{stage}/offset/{offset:+d}": value for offset, value in zip(offsets.tolist(), found.mean(0), strict=True)
        }
        self.log_dict(values, batch_size=len(found), on_epoch=True, sync_dist=True)


def retrieval(found: Tensor) -> Tensor:
    """Share of windows whose sound is found within a frame of where it is.

    Args:
        found: probability at each offset, ``(B, 2 R + 1)``, the true one in the middle; guessing finds
            ``3 / (2 R + 1)``.

    Returns:
        Scalar in ``[0, 1]``.

    >>> retrieval(torch.eye(11)[[5, 6, 0, 10]]).item()
    0.5
    """
    offset = found.argmax(1) - found.shape[1] // 2
    return (offset.abs() <= NEAR).float().mean()
