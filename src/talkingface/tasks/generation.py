"""Stage 2: make motion from speech, in the motion space of a finished stage 1 (AniTalker, section 3.3.2)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from talkingface._version import __version__
from talkingface.core.component import WEIGHTS_NAME, public_path
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.frozen import Frozen
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.core.provenance import CHECKPOINT_FORMAT, git_commit
from talkingface.core.records import ClipBatch, Condition
from talkingface.hub import find_model, load_model
from talkingface.tasks.optim import Adam, check_gradients, clip_by_group, joint_optimizer
from talkingface.weights import sha256


class Calibrates(Protocol):
    """What is asked of the data module."""

    def calibration(self) -> Tensor:
        """Motion of the training clips, ``(N, D)``."""

    def moods(self) -> dict[str, Tensor]:
        """The same by the emotion that clips are labelled with, ``(n, D)``."""


class Generation(L.LightningModule):
    """Learn to make motion from speech; the motion space stays as stage 1 left it.

    Args:
        representation: model folder of stage 1 (or owner/name on the Hub), whose motion encoder and renderer are kept
            frozen and are exported with the result.
        audio_encoder: speech → condition.
        motion_generator: built around motion encoder and audio encoder.
        loss_weights: name → weight of the generator's losses; 1 for those that are not named (supplement, 2.2.1), and
            what has weight 0 does not count.
        optimizer: Adam of audio encoder and generator.

    Raises:
        ConfigError: when the representation has no motion encoder, or a loss is unknown (at the first step).
        WeightsError: when there is no such representation.
    """

    def __init__(
        self,
        representation: str,
        audio_encoder: AudioEncoder,
        motion_generator: Callable[[MotionEncoder, AudioEncoder], MotionGenerator],
        loss_weights: dict[str, float] | None = None,
        optimizer: Adam = Adam(1e-4, (0.9, 0.999)),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        folder = find_model(representation)
        motion_encoder = load_model(folder).get("motion_encoder")
        if not isinstance(motion_encoder, MotionEncoder):
            raise ConfigError(f"{representation} has no motion encoder. Give the model folder of a finished stage 1.")
        self.origin = {"folder": str(folder.resolve()), "sha256": sha256(folder / "motion_encoder" / WEIGHTS_NAME)}
        self._stage1 = Frozen(motion_encoder)
        self.audio_encoder = audio_encoder
        self.motion_generator = motion_generator(motion_encoder, audio_encoder)
        self.loss_weights = dict(loss_weights or {})
        self.optimizer = optimizer
        self._seed = 0

    @property
    def motion_encoder(self) -> MotionEncoder:
        """The frozen motion encoder; no part of the checkpoint."""
        return cast(MotionEncoder, self._stage1.network)

    def setup(self, stage: str) -> None:
        """Fit the generator to the range and the emotions of the training motion, unless it knows them already."""
        if stage == "fit":
            self._seed = torch.initial_seed()
            data = cast(Calibrates, self.trainer.datamodule)  # type: ignore[attr-defined]
            self.motion_generator.calibrate(data.calibration(), data.moods())

    def forward(self, batch: ClipBatch) -> Condition:
        """What the generator is told about a batch; the true control tracks are among it."""
        frames = batch["motion"].shape[1]
        audio = self.audio_encoder(batch["features"].to(batch["motion"].dtype), frames)
        return Condition(audio, batch["start_motion"], batch["portrait"], batch["controls"])

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step of the generator's losses.

        Noise, diffusion steps and dropout are drawn from a seed of their own in each step and process: a resumed run
        draws what an uninterrupted one would have drawn, and two processes do not draw the same.
        """
        place = [self._seed % 2**63, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))
        terms = self.motion_generator.loss(batch["motion"], self(batch))
        total = self._weighted(terms)
        logged = {f"train/{name}": value.detach() for name, value in {**terms, "loss": total}.items()}
        self.log_dict(logged, batch_size=len(batch["motion"]), on_step=True, on_epoch=True)
        return total

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Losses on unseen people, beside the same with another clip's speech: what the model takes from the sound."""
        self._judge(batch, batch_idx, "val")

    def test_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """The same, on the people kept for the last look."""
        self._judge(batch, batch_idx, "test")

    def configure_optimizers(self) -> Optimizer:
        """One Adam; the layers that sum up the features are trained with the rest."""
        parameters = [*self.audio_encoder.parameters(), *self.motion_generator.parameters()]
        return joint_optimizer({"generator": (parameters, self.optimizer)})

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients."""
        clip_by_group(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Stop at the first step that would write NaN into the weights."""
        # mixed precision scales the loss, meets infinities by design, and skips those steps itself
        if self.trainer.precision != "16-mixed":
            check_gradients(optimizer, self.global_step, "tracks")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the parts in plain JSON, so that the checkpoint can be exported without the recipe."""
        parts = {"audio_encoder": self.audio_encoder.config, "motion_generator": self.motion_generator.config}
        checkpoint["talkingface"] = {
            "format": CHECKPOINT_FORMAT,
            "version": __version__,
            "git": git_commit(),
            "config": {
                "class_path": public_path(type(self)),
                "init_args": {**parts, "representation": self.origin["folder"], "loss_weights": self.loss_weights},
            },
            "parts": parts,
            "representation": self.origin,
        }

    def _weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        for name in self.loss_weights:
            if name not in terms:
                kind = type(self.motion_generator).__name__
                raise ConfigError(f"{kind} has no loss '{name}'; it has: {did_you_mean(name, list(terms))}.")
        weights = {name: self.loss_weights.get(name, 1.0) for name in terms}
        return torch.stack([weights[name] * value for name, value in terms.items() if weights[name]]).sum()

    def _judge(self, batch: ClipBatch, batch_idx: int, stage: str) -> None:
        condition = self(batch)
        rows = {"model": condition, "shuffled": replace(condition, audio=condition.audio.roll(1, 0))}
        for row, told in rows.items():
            draws = torch.Generator(self.device).manual_seed(batch_idx)  # the same noise for both, in every epoch
            terms = self.motion_generator.loss(batch["motion"], told, draws)
            suffix = "" if row == "model" else f"_{row}"
            values = {
                f"{stage}/{name}{suffix}": value for name, value in {**terms, "loss": self._weighted(terms)}.items()
            }
            self.log_dict(values, batch_size=len(batch["motion"]), on_epoch=True, sync_dist=True)
