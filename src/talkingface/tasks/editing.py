"""Stage 2 by editing: change expressions until the lips fit the speech, judged in pictures (ControlTalk, section 3)."""

import functools
from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from talkingface.audio import sync_mel
from talkingface.core.checks import check_shape
from talkingface.core.component import Component
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.frozen import Frozen
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, Renderer
from talkingface.core.records import EditBatch, Source
from talkingface.generators import Audio2Exp
from talkingface.losses import LipSyncLoss, PerceptualLoss, cut, face_boxes, mouth_mask, pyramid_loss
from talkingface.tasks.optim import Adam
from talkingface.tasks.stage2 import Stage2

LOSSES = ("pyramid", "perceptual", "sync")
FACE = 96  # px, of what a sync expert is shown


class Editing(Stage2):
    """Learn to edit expressions so that lips fit the speech, and nothing outside of the mouth changes.

    Each frame of a video is rendered from itself with its expression edited: outside of the mouth's box it is to look
    as before (``perceptual``, or ``pyramid`` where VGG is too large), inside a sync expert is to find the speech in it
    (``sync``). No picture says what the mouth should look like, so that the speech may be another than the video's.
    Motion encoder and renderer are frozen; gradients pass through the renderer.

    Args:
        representation: model folder of stage 1 (or owner/name on the Hub), with the renderer; exported with the result.
        audio_encoder: speech → condition. The paper's is frozen and comes from its sync network, whose weights for this
            were not released with the rest; here it is trained with the editor.
        motion_generator: the editor, built around motion encoder and audio encoder.
        sync: the expert; needed when ``sync`` has a weight.
        perceptual: frozen feature distance; needed when ``perceptual`` has a weight.
        view: what the expert is shown: ``"frame"``, as experts of ours are trained on the same clips, or ``"face"``, a
            square round the landmarks, as Wav2Lip's was.
        loss_weights: name → weight, of ``perceptual``, ``pyramid`` and ``sync``; what has none is not computed. The
            paper's "lip-sync ratio" is 0.3 (section 4.3).
        rise: steps in which alpha grows from 0 to 1 (section 3.2; how fast is not published).
        recompute: frames that are rendered together on the way back, where rendering is done a second time instead of
            being remembered; 0 remembers everything.
        optimizer: Adam of audio encoder and editor.

    Raises:
        ConfigError: for an unknown loss or one whose part is missing, and when the representation has no motion encoder
            or no renderer.
        WeightsError: when there is no such representation.
    """

    motion_generator: Audio2Exp

    def __init__(
        self,
        representation: str,
        audio_encoder: AudioEncoder,
        motion_generator: Callable[[MotionEncoder, AudioEncoder], Audio2Exp],
        sync: LipSyncLoss | None = None,
        perceptual: PerceptualLoss | None = None,
        view: Literal["frame", "face"] = "frame",
        loss_weights: dict[str, float] | None = None,
        rise: int = 1000,
        recompute: int = 5,
        optimizer: Adam = Adam(1e-5, (0.9, 0.999)),  # noqa: B008 - frozen
    ) -> None:
        weights = {name: weight for name, weight in (loss_weights or {}).items() if weight}
        for name in weights:
            if name not in LOSSES:
                raise ConfigError(f"there is no loss '{name}'; known: {did_you_mean(name, LOSSES)}.")
        for name, part in (("sync", sync), ("perceptual", perceptual)):
            if name in weights and part is None:
                raise ConfigError(f"the {name} loss has a weight, but the task has no '{name}'. Give one, or weight 0.")
        super().__init__(representation, audio_encoder, motion_generator, weights, optimizer)
        self.sync = sync
        self.perceptual = perceptual
        self.view = view
        self.rise = rise
        self.recompute = recompute

    def take(self, stage1: Mapping[str, Component]) -> None:
        """Keep the renderer."""
        renderer = stage1.get("renderer")
        if not isinstance(renderer, Renderer):
            raise ConfigError("the representation has no renderer. Give the model folder of a finished stage 1.")
        self._renderer = Frozen(renderer)

    @property
    def renderer(self) -> Renderer:
        """The frozen renderer; no part of the checkpoint."""
        return cast(Renderer, self._renderer.network)

    @property
    def alpha(self) -> float:
        """How much of an edit counts at this step."""
        return min(1.0, self.global_step / max(1, self.rise))

    def forward(self, batch: EditBatch) -> Tensor:
        """The frames with the lips edited by speech, ``(B, 5, 3, H, W)``."""
        source, original = self._seen(batch)
        return self._render(source, self._spoken(original, batch))

    def training_step(self, batch: EditBatch, batch_idx: int) -> Tensor:
        """Half of the windows are closed by silence before they are spoken ("dual training", section 3.3)."""
        self.reseed(batch_idx)
        source, original = self._seen(batch)
        mouth = original.new_full(original.shape[:2], self.alpha)
        edited = self.motion_generator.train_edit(original, self._condition(batch), mouth)
        terms = self._terms(self._render(source, edited), batch)
        total = torch.stack([self.loss_weights[name] * value for name, value in terms.items()]).sum()
        values = {f"train/{name}": value.detach() for name, value in {**terms, "loss": total}.items()}
        values["train/alpha"] = torch.tensor(self.alpha)
        self.log_dict(values, batch_size=len(original), on_step=True, on_epoch=True)
        return total

    def validation_step(self, batch: EditBatch, batch_idx: int) -> None:
        """Losses on unseen people with speech of another time, beside the same frames unedited and closed."""
        self._judge(batch, "val")

    def test_step(self, batch: EditBatch, batch_idx: int) -> None:
        """The same, on the people kept for the last look."""
        self._judge(batch, "test")

    def _judge(self, batch: EditBatch, stage: str) -> None:
        source, original = self._seen(batch)
        rows = {
            "": self._spoken(original, batch),
            "_closed": self.motion_generator.closed(original),
            "_unedited": original,
        }
        for suffix, motion in rows.items():
            terms = self._terms(self._render(source, motion), batch)
            values = {f"{stage}/{name}{suffix}": value for name, value in terms.items()}
            if not suffix:
                weighted = [self.loss_weights[name] * value for name, value in terms.items()]
                values[f"{stage}/loss"] = torch.stack(weighted).sum()
            self.log_dict(values, batch_size=len(original), on_epoch=True, sync_dist=True)

    @torch.no_grad()
    def _seen(self, batch: EditBatch) -> tuple[Source, Tensor]:
        """Each frame as its own portrait, ``5 B`` of them, and their motion ``(B, 5, D)``."""
        side = self.renderer.size
        check_shape(batch["frames"], ("B", "T", 3, side, side), "frames")
        source = self.renderer.appearance(batch["frames"].flatten(0, 1))
        return source, source.motion.unflatten(0, batch["frames"].shape[:2])

    def _condition(self, batch: EditBatch) -> Tensor:
        """Speech of the window's frames ``(B, 5, A)``; what is heard around them is left behind."""
        encoder, features = self.audio_encoder, batch["features"]
        frames = batch["frames"].shape[1]
        heard = features.shape[2] * 25 // encoder.rate
        margin = (heard - frames) // 2
        condition: Tensor = encoder(features.to(batch["frames"].dtype), heard)
        return condition[:, margin : margin + frames]

    def _spoken(self, original: Tensor, batch: EditBatch) -> Tensor:
        """Motion as inference makes it of full speech: closed by silence, then spoken."""
        editor = self.motion_generator
        return editor.edit(editor.closed(original), self._condition(batch), original.new_ones(original.shape[:2]))

    def _render(self, source: Source, motion: Tensor) -> Tensor:
        """Frames ``(B, 5, 3, H, W)``; rendering is done again on the way back, some frames at a time."""
        flat = motion.flatten(0, 1)
        if not self.recompute or not torch.is_grad_enabled():
            image = self._picture(source, flat)
        else:
            rows = [slice(first, first + self.recompute) for first in range(0, len(flat), self.recompute)]
            again = functools.partial(checkpoint, self._picture, use_reentrant=False)
            image = torch.cat([again(source.part(some), flat[some]) for some in rows])
        frames: Tensor = image.unflatten(0, motion.shape[:2])
        return frames

    def _picture(self, source: Source, motion: Tensor) -> Tensor:
        image: Tensor = self.renderer(source, motion).image
        return image

    def _terms(self, images: Tensor, batch: EditBatch) -> dict[str, Tensor]:
        """Named losses of rendered frames ``(B, 5, 3, H, W)``."""
        made, seen = images.flatten(0, 1), batch["frames"].flatten(0, 1)
        landmarks = batch["landmarks"].flatten(0, 1)
        mouth = mouth_mask(landmarks, made.shape[-1])
        terms = {}
        rest = [pictures.masked_fill(mouth, 0) for pictures in (made, seen)]
        if "pyramid" in self.loss_weights:
            terms["pyramid"] = pyramid_loss(*rest)
        if "perceptual" in self.loss_weights and self.perceptual is not None:
            terms["perceptual"] = self.perceptual(*rest)
        if "sync" in self.loss_weights and self.sync is not None:
            shown = torch.where(mouth, made, seen)
            if self.view == "face":
                shown = cut(shown, face_boxes(landmarks), FACE)
            terms["sync"] = self.sync(shown.unflatten(0, images.shape[:2]), sync_mel(batch["sound"]))
        return terms
