"""Stage 2: make motion from speech, in the motion space of a finished stage 1 (AniTalker, section 3.3.2)."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.core.records import ClipBatch, Condition
from talkingface.tasks.optim import Adam
from talkingface.tasks.stage2 import Stage2


class Generation(Stage2):
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
        super().__init__(representation, audio_encoder, motion_generator, loss_weights or {}, optimizer)

    def forward(self, batch: ClipBatch) -> Condition:
        """What the generator is told about a batch; the true control tracks are among it."""
        frames = batch["motion"].shape[1]
        audio = self.audio_encoder(batch["features"].to(batch["motion"].dtype), frames)
        return Condition(audio, batch["start_motion"], batch["portrait"], batch["controls"])

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step of the generator's losses."""
        self.reseed(batch_idx)
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
