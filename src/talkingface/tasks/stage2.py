"""What all trainings of stage 2 share: a finished stage 1 that stays as it is, and what is saved beside the weights."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from talkingface.core.component import WEIGHTS_NAME, Component
from talkingface.core.errors import ConfigError
from talkingface.core.frozen import Frozen
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.hub import find_model, load_model
from talkingface.tasks.optim import Adam, joint_optimizer
from talkingface.tasks.task import Task
from talkingface.weights import sha256


class Calibrates(Protocol):
    """What is asked of the data module."""

    def calibration(self) -> Tensor:
        """Motion of the training clips, ``(N, D)``."""

    def moods(self) -> dict[str, Tensor]:
        """The same by the emotion that clips are labelled with, ``(n, D)``."""

    def told(self) -> dict[str, Tensor]:
        """Control tracks of the training clips, ``(n,)`` or ``(n, 3)``; NaN where unknown."""


class Stage2(Task):
    """Base of the tasks that train audio encoder and motion generator on a frozen stage 1.

    Args:
        representation: model folder of stage 1 (or owner/name on the Hub).
        audio_encoder: speech → condition.
        motion_generator: built around motion encoder and audio encoder.
        loss_weights: name → weight.
        optimizer: Adam of audio encoder and generator.

    Raises:
        ConfigError: when the representation has no motion encoder.
        WeightsError: when there is no such representation.
    """

    suspects = "tracks"
    motion_generator: MotionGenerator

    def __init__(
        self,
        representation: str,
        audio_encoder: AudioEncoder,
        motion_generator: Callable[[MotionEncoder, AudioEncoder], MotionGenerator],
        loss_weights: Mapping[str, float],
        optimizer: Adam,
    ) -> None:
        super().__init__()
        folder = find_model(representation)
        stage1 = load_model(folder)
        motion_encoder = stage1.get("motion_encoder")
        if not isinstance(motion_encoder, MotionEncoder):
            raise ConfigError(f"{representation} has no motion encoder. Give the model folder of a finished stage 1.")
        self.origin = {"folder": str(folder.resolve()), "sha256": sha256(folder / "motion_encoder" / WEIGHTS_NAME)}
        self._stage1 = Frozen(motion_encoder)
        self.take(stage1)
        self.audio_encoder = audio_encoder
        self.motion_generator = motion_generator(motion_encoder, audio_encoder)
        self.loss_weights = dict(loss_weights)
        self.optimizer = optimizer
        self._seed = 0

    def take(self, stage1: Mapping[str, Component]) -> None:
        """Keep what else is needed of stage 1; nothing by default.

        Args:
            stage1: name → part; the motion encoder is kept already.
        """

    @property
    def motion_encoder(self) -> MotionEncoder:
        """The frozen motion encoder; no part of the checkpoint."""
        return cast(MotionEncoder, self._stage1.network)

    def setup(self, stage: str) -> None:
        """Fit the generator to the ranges and emotions of the training clips, unless it knows them already."""
        if stage == "fit":
            self._seed = torch.initial_seed()
            data = cast(Calibrates, self.trainer.datamodule)  # type: ignore[attr-defined]
            self.motion_generator.calibrate(data.calibration(), data.moods(), data.told())

    def reseed(self, batch_idx: int) -> None:
        """Draw noise, diffusion steps and dropout from a seed of their own in each step and process.

        A resumed run draws what an uninterrupted one would have drawn, and two processes do not draw the same.
        """
        place = [self._seed % 2**63, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))

    def configure_optimizers(self) -> Optimizer:
        """One Adam; the layers that sum up the features are trained with the rest."""
        parameters = [*self.audio_encoder.parameters(), *self.motion_generator.parameters()]
        return joint_optimizer({"generator": (parameters, self.optimizer)})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the parts in plain JSON, so that the checkpoint can be exported without the recipe."""
        parts = {"audio_encoder": self.audio_encoder.config, "motion_generator": self.motion_generator.config}
        settings = {**parts, "representation": self.origin["folder"], "loss_weights": self.loss_weights}
        checkpoint["talkingface"] = {**self.description(parts, settings), "representation": self.origin}
