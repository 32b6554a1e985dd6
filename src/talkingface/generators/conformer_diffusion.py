"""Motion by diffusion: a Conformer that recognises the noise in motion, told what is said (AniTalker, Takin-ADA)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.core.nn import Conformer
from talkingface.core.records import Condition
from talkingface.diffusion import (
    NoisedMotion,
    NoiseSchedule,
    check_prefix,
    sample_ddim,
    standard_normal,
    training_pair,
)
from talkingface.generators.draws import drawn
from talkingface.generators.emotion import EMOTION, EmotionCondition
from talkingface.generators.normalisation import MotionRange, load_made_for
from talkingface.generators.variance import ATTRIBUTES, VarianceAdapter, check_controls


class ConformerDiffusion(MotionGenerator):
    """Speech → motion by denoising. The defaults are AniTalker's (supplement, Table 2), as ``hubert_full_control``.

    Each frame is told the speech with its attributes, the motion before the first frame, the portrait's code, the
    emotion, the noisy motion and the diffusion step, side by side. Where a representation has no image encoder, there
    is no portrait code. Takin-ADA's is the same with 8 blocks and emotions (sections 2.3 and 3.1): on keypoints, the
    emotion's code has the place of the portrait's, so that the widths of AniTalker add up again.

    Args:
        motion_encoder: whose motion is made.
        audio_encoder: whose condition is told.
        dim: width of the Conformer. A linear layer leads there, unless that is the width of what the frames are told:
            that of the condition and a ``static`` for each other code, as 512 and 4 times 128 here.
        blocks, heads: of the Conformer.
        dropout: of the Conformer.
        attributes: what the variance adapter predicts and can be told: ``location``, ``scale``, ``pose``.
        static: width of each of the other codes.
        hidden: width of the variance adapter's LSTMs.
        teacher_forcing: train on true attributes, as the paper has it, or on predicted ones, as the released code.
        condition_dropout: share of training clips whose speech is withheld, in ``[0, 1)``; above 0, sampling takes
            ``guidance`` (Ho and Salimans 2022).
        foreign_starts: share of training clips that are told the start of another clip, in ``[0, 1]``. Above 0, place
            and size are taken from what is told; at 0 a start that always agrees with them is believed instead.
        emotions: names of emotions, see :class:`EmotionCondition`; none makes a generator that cannot be told any.
        emotion_dropout: share of training clips whose emotion is withheld, in ``(0, 1)``.

    Raises:
        ConfigError: for an unknown attribute, emotions with a motion that has no expression, or numbers that do not
            fit together.
    """

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        audio_encoder: AudioEncoder,
        /,
        *,
        dim: int = 1024,
        blocks: int = 2,
        heads: int = 2,
        dropout: float = 0.2,
        attributes: Sequence[str] = tuple(ATTRIBUTES),
        static: int = 128,
        hidden: int = 128,
        teacher_forcing: bool = False,
        condition_dropout: float = 0.0,
        foreign_starts: float = 0.0,
        emotions: Sequence[str] = (),
        emotion_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= condition_dropout < 1:
            raise ConfigError(f"condition_dropout must be in [0, 1), got {condition_dropout}.")
        if not 0 <= foreign_starts <= 1:
            raise ConfigError(f"foreign_starts must be in [0, 1], got {foreign_starts}.")
        spec, trunk = motion_encoder.spec, motion_encoder.image_encoder
        self.spec = spec
        self.teacher_forcing = teacher_forcing
        self.condition_dropout = condition_dropout
        self.foreign_starts = foreign_starts
        self.schedule = NoiseSchedule()
        self.motion_range = MotionRange(*spec.slices.values())
        self.adapter = VarianceAdapter(audio_encoder.dim, attributes, hidden)
        self.emotion = EmotionCondition(spec, emotions, static, emotion_dropout) if emotions else None
        self.attributes = (*self.adapter.attributes, *([EMOTION] if emotions else []))
        self.unheard = nn.Parameter(torch.zeros(audio_encoder.dim)) if condition_dropout else None
        self.start_code = nn.Linear(spec.dim, static)
        self.portrait_code = None if trunk is None else nn.Linear(trunk.code_dim, static)
        self.noisy_code = nn.Linear(spec.dim, static)
        self.step_code = nn.Linear(1, static)
        with torch.no_grad():  # steps count to 1000: at the usual scale they would drown all else in the first norm
            self.step_code.weight /= self.schedule.steps
        told = audio_encoder.dim + (3 + (trunk is not None) + (self.emotion is not None)) * static
        self.fuse = nn.Identity() if told == dim else nn.Linear(told, dim)
        self.conformer = Conformer(dim, blocks=blocks, heads=heads, dropout=dropout)
        self.out = nn.Linear(dim, spec.dim)

    def calibrate(
        self,
        motion: Tensor,
        moods: Mapping[str, Tensor] | None = None,
        controls: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Fit the range that diffusion works in, the emotions and the ranges of controls, unless they are known."""
        self.adapter.fit(controls or {})
        if self.emotion is not None and not self.motion_range.known:
            self.emotion.fit(motion, moods or {})
        self.motion_range.fit(motion)

    def load_weights(self, path: str | Path) -> None:
        """Load a safetensors file; a generator of motion of another size is refused with both sizes."""
        load_made_for(self, self.spec, path)

    def loss(self, motion: Tensor, condition: Condition, generator: Generator | None = None) -> dict[str, Tensor]:
        """``diffusion``: squared error of the noise (equation 1); and that of each attribute's predictor.

        Args:
            motion: ``(B, T, D)``.
            condition: with true ``controls`` where there are any; NaN marks frames without. The emotion is that of
                the motion itself.
            generator: draws steps and noise, and in training the clips whose speech or emotion is withheld or whose
                start is another's.
        """
        pair = training_pair(self.schedule, self.motion_range.normalise(motion), generator)
        if self.unheard is not None and self.training:
            withheld = drawn(self.condition_dropout, motion, generator)[:, None, None]
            condition = replace(condition, audio=torch.where(withheld, self.unheard, condition.audio))
        if self.foreign_starts and self.training:
            foreign = drawn(self.foreign_starts, motion, generator)[:, None]
            start = condition.start_motion
            condition = replace(condition, start_motion=torch.where(foreign, start.roll(1, 0), start))
        if self.emotion is not None:
            track = self.emotion.shown(motion)
            track = self.emotion.withhold(track, generator) if self.training else track
            condition = replace(condition, controls={**condition.controls, EMOTION: track})
        return self.loss_of(pair, condition)

    def loss_of(self, pair: NoisedMotion, condition: Condition) -> dict[str, Tensor]:
        """The losses of :meth:`loss` for motion that has been normalised and noised already."""
        speech, predicted = self.adapter(condition.audio, condition.controls if self.teacher_forcing else {})
        check_shape(pair.noised, (*speech.shape[:2], self.out.out_features), "motion")
        recognised = self._denoise(pair.noised, pair.step, self._fixed(speech, condition))
        moving = self.motion_range.moving
        error = ((recognised - pair.noise).square() * moving).sum(-1) / moving.sum().clamp(min=1)
        if condition.mask is not None:
            error = error * condition.mask * (error.numel() / condition.mask.sum().clamp(min=1))
        return {"diffusion": error.mean(), **self.adapter.losses(predicted, condition.controls, condition.mask)}

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        generator: Generator,
        *,
        prefix: Tensor | None = None,
        steps: int = 50,
        guidance: float = 1.0,
        emotion_guidance: float = 1.0,
    ) -> Tensor:
        """Draw motion ``(B, T, D)`` by DDIM, see :meth:`MotionGenerator.sample`.

        ``emotion_guidance`` is for the emotion what ``guidance`` is for the speech.

        Raises:
            ConfigError: for a control that the generator does not know or that is beyond its limits, for ``guidance``
                without training for it, and for a number of steps that does not divide 1000.
            ShapeError: for a control track of another length, or a prefix that leaves nothing to sample.
        """
        batch, frames = condition.audio.shape[:2]
        check_controls(condition.controls, self.attributes, batch, frames)
        noise = standard_normal(condition.start_motion.new_empty(batch, frames, self.out.out_features), generator)
        predict = self.noise_predictor(condition, guidance, emotion_guidance)
        if prefix is None:
            return self.motion_range.restore(sample_ddim(predict, noise, self.schedule, steps))
        check_prefix(prefix, noise.shape)
        known = self.motion_range.normalise(prefix)
        motion = self.motion_range.restore(sample_ddim(predict, noise, self.schedule, steps, prefix=known))
        return torch.cat([prefix, motion[:, prefix.shape[1] :]], dim=1)  # bit for bit, in spite of rounding

    def noise_predictor(
        self, condition: Condition, guidance: float = 1.0, emotion_guidance: float = 1.0
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """What a sampler calls at each step. All that does not depend on the step is computed here, once.

        Args:
            condition: with the ``controls`` that are asked for.
            guidance: 1 as trained; 0 does not hear the speech, above 1 exaggerates what it changes.
            emotion_guidance: the same for the emotion; without effect where none is told.

        Returns:
            Normalised motion with noise ``(B, T, D)`` and step ``(B,)`` → the noise in it ``(B, T, D)``.

        Raises:
            ConfigError: for another guidance than 1 without training for it.
        """
        if emotion_guidance != 1:
            if self.emotion is None:
                raise ConfigError("this generator knows no emotions, so emotion_guidance cannot be other than 1.")
            free = {name: track for name, track in condition.controls.items() if name != EMOTION}
            felt = self.noise_predictor(condition, guidance)
            unfelt = self.noise_predictor(replace(condition, controls=free), guidance)
            return lambda noised, step: torch.lerp(unfelt(noised, step), felt(noised, step), emotion_guidance)
        if guidance == 1:
            fixed = self._fixed(self.adapter(condition.audio, condition.controls)[0], condition)
            positions = self.conformer.positions(fixed.shape[1])
            return lambda noised, step: self._denoise(noised, step, fixed, positions)
        if self.unheard is None:
            raise ConfigError(
                f"this generator was not trained for guidance {guidance:g}; only 1 is possible. "
                "Train it with condition_dropout, for example 0.1."
            )
        heard = self.noise_predictor(condition)
        unheard = self.noise_predictor(replace(condition, audio=self.unheard.expand_as(condition.audio)))
        return lambda noised, step: torch.lerp(unheard(noised, step), heard(noised, step), guidance)

    def _fixed(self, speech: Tensor, condition: Condition) -> Tensor:
        """What each frame is told at every step, ``(B, T, …)``: speech, start motion, portrait, emotion."""
        batch, frames = speech.shape[:2]
        start = condition.start_motion
        check_shape(start, (batch, self.out.out_features), "start motion")
        felt = []
        if self.emotion is not None:
            track = condition.controls.get(EMOTION, start.new_full((batch, frames, self.emotion.dim), torch.nan))
            check_shape(track, (batch, frames, self.emotion.dim), f"control '{EMOTION}'")
            felt.append(self.emotion(track, self.motion_range.scale))
            start = self.emotion.dressed(start, track[:, 0])
        codes = [self.start_code(self.motion_range.normalise(start))]
        if self.portrait_code is not None:
            check_shape(condition.portrait, (batch, self.portrait_code.in_features), "portrait code")
            codes.append(self.portrait_code(condition.portrait))
        return torch.cat([speech, *(code[:, None].expand(-1, frames, -1) for code in codes), *felt], dim=-1)

    def _denoise(
        self, noised: Tensor, step: Tensor, fixed: Tensor, positions: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Noise ``(B, T, D)`` in normalised motion at a step ``(B,)``."""
        with torch.autocast(step.device.type, enabled=False):  # bfloat16 cannot tell step 999 from step 1000
            scale, offset = self.step_code.weight.float(), self.step_code.bias.float()
            when = functional.linear(step[:, None].float(), scale, offset)[:, None].expand(-1, noised.shape[1], -1)
        noised = noised * self.motion_range.moving  # what is at rest is not learnt, so a sampler leaves anything in it
        told = self.fuse(torch.cat([fixed, self.noisy_code(noised), when], dim=-1))
        recognised: Tensor = self.out(self.conformer(told, positions))
        return recognised
