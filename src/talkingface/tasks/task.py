"""What all tasks share: gradients clipped and checked before a step, and a checkpoint that says what it holds."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from torch.optim import Optimizer

from talkingface._version import __version__
from talkingface.core.component import public_path
from talkingface.core.provenance import CHECKPOINT_FORMAT, git_commit
from talkingface.tasks.optim import check_gradients, clip_by_group


class Task(L.LightningModule):
    """Base of the tasks.

    Attributes:
        suspects: what of the data may be broken when a gradient is NaN, for the message.
    """

    suspects: str

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip each player on its own."""
        clip_by_group(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Stop at the first step that would write NaN into the weights."""
        # mixed precision scales the loss, meets infinities by design, and skips those steps itself
        if self.trainer.precision != "16-mixed":
            check_gradients(optimizer, self.global_step, self.suspects)

    def description(self, parts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """What a checkpoint says of itself in plain JSON, so that it can be exported without the recipe.

        Args:
            parts: name → configuration of what is exported.
            settings: arguments that the task would be made with.
        """
        return {
            "format": CHECKPOINT_FORMAT,
            "version": __version__,
            "git": git_commit(),
            "config": {"class_path": public_path(type(self)), "init_args": dict(settings)},
            "parts": dict(parts),
        }
