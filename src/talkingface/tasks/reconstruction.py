"""Stage 1: render one frame of a clip from another frame and its motion (LIA, AniTalker, face-vid2vid, Takin-ADA)."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.interfaces import Discriminator, ImageCode, MotionEncoder, Renderer
from talkingface.core.records import PairBatch, RenderOutput, Source
from talkingface.data import PairModule
from talkingface.losses import PerceptualLoss, mouth_loss, pyramid_loss
from talkingface.metrics import PSNR, SSIM, FrameMetric, to_pixels
from talkingface.tasks.adversarial import ADVERSARIAL_LOSSES, check_game, play
from talkingface.tasks.identity import IdentityLosses
from talkingface.tasks.keypoints import KEYPOINT_LOSSES, KeypointLosses
from talkingface.tasks.labels import landmarks_for
from talkingface.tasks.optim import Adam, joint_optimizer
from talkingface.tasks.task import Task
from talkingface.tasks.terms import MotionTerms

# name of a loss that needs a part → that argument of the task
PARTS = {
    "perceptual": "perceptual",
    **dict.fromkeys(ADVERSARIAL_LOSSES, "discriminator"),
    **dict.fromkeys(KEYPOINT_LOSSES, "keypoints"),
    **dict.fromkeys(("metric", "mutual_information"), "identity"),
}
LOSSES = ("l1", "pyramid", "mouth", *PARTS)
METRICS: dict[str, Callable[[], FrameMetric]] = {"psnr": PSNR, "ssim": SSIM}
ROWS = {
    "copy": "copy the source",
    "shuffled": "this model, driving frames shuffled over clips",
    "model": "this model",
    "truth": "ground truth",
}


class Reconstruction(Task):
    """Learn motion by reconstruction: source frame + motion of the driving frame → driving frame.

    Args:
        motion_encoder: picture → motion.
        renderer: built around the motion encoder, with which it may share its image encoder.
        discriminator: the opponent; needed when ``adversarial`` (non-saturating) or ``hinge`` has a weight, and for
            ``feature_matching`` beside one of them.
        perceptual: frozen feature distance; needed when ``perceptual`` has a weight.
        identity: built around the motion encoder; needed when ``metric`` (learning who is who) or
            ``mutual_information`` (between identity and motion) has a weight.
        keypoints: built around the motion encoder; needed when ``equivariance``, ``keypoint_prior``, ``head_pose``,
            ``deformation``, ``canonical`` or ``landmark`` has a weight.
        loss_weights: name → weight, of ``l1``, ``pyramid``, ``mouth`` (needs landmarks), ``perceptual`` and all that
            is named above; what has no weight is not computed.
        generator: Adam of motion encoder, renderer and class centres.
        opponent: Adam of the discriminator.

    Raises:
        ConfigError: for an unknown loss, one whose part is missing, or losses that make no sense together.
    """

    suspects = "pictures"

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        renderer: Callable[[MotionEncoder], Renderer],
        discriminator: Discriminator | None = None,
        perceptual: PerceptualLoss | None = None,
        identity: Callable[[MotionEncoder], IdentityLosses] | None = None,
        keypoints: Callable[[MotionEncoder], KeypointLosses] | None = None,
        loss_weights: dict[str, float] | None = None,
        generator: Adam = Adam(),  # noqa: B008 - frozen
        opponent: Adam = Adam(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.loss_weights = {name: weight for name, weight in (loss_weights or {"l1": 1.0}).items() if weight}
        for name in self.loss_weights:
            if name not in LOSSES:
                raise ConfigError(f"there is no loss '{name}'; known: {did_you_mean(name, LOSSES)}.")
        given = {"discriminator": discriminator, "perceptual": perceptual, "identity": identity, "keypoints": keypoints}
        needed = {part: name for name, part in PARTS.items() if name in self.loss_weights}
        for part, name in needed.items():
            if given[part] is None:
                raise ConfigError(f"the {name} loss has a weight, but the task has no '{part}'. Give one, or weight 0.")
        check_game(self.loss_weights, discriminator)
        if "mutual_information" in self.loss_weights and "metric" not in self.loss_weights:
            raise ConfigError("mutual_information has a weight and metric has none: nothing teaches who is who.")
        self.motion_encoder = motion_encoder
        self.renderer = renderer(motion_encoder)
        self.discriminator = discriminator if "discriminator" in needed else None
        self.perceptual = perceptual if "perceptual" in needed else None
        self.keypoints = keypoints(motion_encoder) if keypoints is not None and "keypoints" in needed else None
        if self.keypoints is not None:
            self.keypoints.check(self.loss_weights)
        self.generator, self.opponent = generator, opponent
        names = itertools.product(("val", "test"), METRICS, ROWS)
        self.metrics = nn.ModuleDict({f"{stage}_{name}_{row}": METRICS[name]() for stage, name, row in names})
        self.identity = identity(motion_encoder) if identity is not None and "metric" in self.loss_weights else None
        if self.identity is None:  # no loss reaches them then, and DDP waits for every gradient it was promised
            for parameter in motion_encoder.identity_parameters():
                parameter.requires_grad_(False)
        elif "mutual_information" not in self.loss_weights:
            self.identity.estimator = None
        elif self.identity.estimator is None:
            raise ConfigError(
                "mutual_information has a weight, but 'identity' has no estimator. Give one, or weight 0."
            )

    def forward(self, source: Tensor, driving: Tensor) -> RenderOutput:
        """Move the source as the driving picture is moved, both ``(B, 3, H, W)`` in ``[-1, 1]``."""
        output: RenderOutput = self.renderer(self.renderer.appearance(source), self.motion_encoder(driving))
        return output

    def look(self, batch: PairBatch) -> tuple[Source, Tensor]:
        """Appearance of the source and motion of the driving picture; labels are believed where they tell motion."""
        known = self.motion_encoder.of_labels(cast(Mapping[str, Tensor], batch))
        if known is None:
            return self.renderer.appearance(batch["source"]), self.motion_encoder(batch["driving"])
        source, driving = known.nan_to_num().unbind(1)  # 0, a face at rest in the middle, where a frame has no labels
        return self.renderer.appearance(batch["source"], source), driving

    def on_fit_start(self) -> None:
        """Refuse data with more people than there are class centres before the first step."""
        data = getattr(self.trainer, "datamodule", None)
        if self.identity is not None and isinstance(data, PairModule):
            self.identity.check_people(data.people)

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """One joint step of all players; see :mod:`talkingface.tasks.optim`."""
        fake, seen = self._render(batch)
        real, terms, learning = batch["driving"], {**seen.losses}, {**seen.learning}
        if "l1" in self.loss_weights:
            terms["l1"] = functional.l1_loss(fake, real)
        if "pyramid" in self.loss_weights:
            terms["pyramid"] = pyramid_loss(fake, real)
        if "mouth" in self.loss_weights:
            terms["mouth"] = mouth_loss(fake, real, landmarks_for("mouth", batch)[:, 1])
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual(fake, real)
        if self.discriminator is not None:
            fooling, learning["discriminator"] = play(self.discriminator, fake, real, self.loss_weights)
            terms |= fooling
        weighted = [self.loss_weights[name] * seen.ramps.get(name, 1.0) * value for name, value in terms.items()]
        total = torch.stack([*weighted, *learning.values()]).sum()
        logged = {**terms, **learning, **seen.measured, "loss": total}
        values = {f"train/{name}": value.detach() for name, value in logged.items()}
        self.log_dict(values, batch_size=len(real), on_step=True, on_epoch=True)
        return total

    def _render(self, batch: PairBatch) -> tuple[Tensor, MotionTerms]:
        """The rendered pictures and the losses on motion that have a weight, with one look at each picture."""
        terms = MotionTerms()
        if self.keypoints is not None:
            source = self.renderer.appearance(batch["source"])
            sight = self.keypoints.look(batch, self.loss_weights, self.global_step)
            motion = sight.motion
            losses = self.keypoints(sight, source, batch, self.loss_weights)
            terms = MotionTerms(losses, ramps={"canonical": self.keypoints.ramp(self.global_step)})
        elif self.identity is not None:
            source = self.renderer.appearance(batch["source"])
            code = self.identity.encode(batch)
            motion = self.motion_encoder.motion_of(ImageCode(code.code[: len(batch["driving"])], ()))
            terms = self.identity(code, batch, self.global_step)
        else:
            source, motion = self.look(batch)
        fake: Tensor = self.renderer(source, motion).image
        return fake, terms

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Judge the model beside copying the source, its own negative control and the ground truth."""
        self._judge(batch, "val")

    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        """The same, on the people kept for the last look."""
        self._judge(batch, "test")

    def predict_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Render ``(B, 3, H, W)`` in ``[-1, 1]``."""
        output: RenderOutput = self.renderer(*self.look(batch))
        return output.image.clamp(-1, 1)

    def configure_optimizers(self) -> Optimizer:
        """One Adam; a parameter group for the generator, one for its opponent and one for the estimator."""
        generator = [*self.motion_encoder.parameters(), *self.renderer.parameters()]
        if self.identity is not None:
            generator += self.identity.metric.parameters()
        players = {"generator": (generator, self.generator)}
        if self.discriminator is not None:
            players["opponent"] = ([*self.discriminator.parameters()], self.opponent)
        if self.identity is not None and self.identity.estimator is not None:
            players["estimator"] = ([*self.identity.estimator.parameters()], self.identity.player)
        return joint_optimizer(players)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the parts in plain JSON, so that the checkpoint can be exported without the recipe."""
        parts = {"motion_encoder": self.motion_encoder.config, "renderer": self.renderer.config}
        checkpoint["talkingface"] = self.description(parts, {**parts, "loss_weights": self.loss_weights})

    def _judge(self, batch: PairBatch, stage: str) -> None:
        appearance, motion = self.look(batch)
        target = to_pixels(batch["driving"])
        rows = {
            "copy": to_pixels(batch["source"]),
            "model": to_pixels(self.renderer(appearance, motion).image.clamp(-1, 1)),
            "shuffled": to_pixels(self.renderer(appearance, motion.roll(1, 0)).image.clamp(-1, 1)),  # another clip's
            "truth": target,
        }
        for row, picture in rows.items():
            for name in METRICS:
                metric = cast(FrameMetric, self.metrics[f"{stage}_{name}_{row}"])
                metric.update(picture[:, None], target[:, None])  # pairs are clips of one frame
                self.log(f"{stage}/{name}" if row == "model" else f"{stage}/{name}_{row}", metric, on_epoch=True)
