"""Expression edited until the lips fit the speech: ControlTalk's Audio2Exp (Zhao et al. 2024, sections 3.2 and 3.3)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.core.records import Condition
from talkingface.diffusion import check_prefix
from talkingface.generators.draws import drawn
from talkingface.generators.normalisation import MotionRange, load_made_for
from talkingface.generators.variance import check_controls

MOUTH = "mouth"  # name of the control track: alpha
SILENT_SHARE = 0.5  # of training clips that silence edits first (the released code)
SILENT_FRAMES = 25
# Peak of the sound that stands for silence: what the released code's near-silence, 14 of 32768 beside speech of usual
# loudness, is before a HuBERT levels sound that is nothing else.
SILENT_PEAK = 2.7e-6


class Audio2Exp(MotionGenerator):
    """Adds to an expression what the speech asks for, and leaves all else of a motion as it is.

    ``E' = E + alpha ΔE(E, speech)`` with a linear layer that starts as zero ("zero module"), so that at first nothing
    is changed. An expression is edited twice: by silence, which closes whatever mouth it had, and by the speech. Alpha,
    the control ``mouth``, counts in the second edit: 0 leaves the mouth closed, above 1 exaggerates.

    It is an editor: it needs a motion that is edited, that of the portrait or of each frame of a video, and draws
    nothing. :meth:`loss` teaches it expressions that are known; to teach it by pictures alone, as published, train
    :class:`talkingface.tasks.Editing`.

    Args:
        motion_encoder: whose motion is edited; it needs a slice ``expression``.
        audio_encoder: of the speech, and of silence.
        mouth: alpha where none is asked for (the paper finds 0.5 normal, its code takes 0.7).

    Raises:
        ConfigError: for motion without an expression, or a negative alpha.
    """

    attributes = (MOUTH,)
    edits = True
    needs = ("expression",)

    def __init__(self, motion_encoder: MotionEncoder, audio_encoder: AudioEncoder, /, *, mouth: float = 0.5) -> None:
        super().__init__()
        self.spec = motion_encoder.spec
        if "expression" not in self.spec.slices:
            raise ConfigError(
                f"Audio2Exp edits an expression, and this motion has none apart from the rest (it has "
                f"{', '.join(self.spec.slices)}). Take a representation with a slice 'expression', or another "
                "generator."
            )
        if not mouth >= 0:
            raise ConfigError(f"mouth must be 0 or more, got {mouth:g}.")
        self.mouth = mouth
        self._wired = (audio_encoder,)  # in a tuple it is no submodule: its weights are not the generator's
        self._silence: Tensor | None = None
        self._place = self.spec.slice("expression")
        self.motion_range = MotionRange(*self.spec.slices.values())
        width = self.spec.slices["expression"]
        self.zero = nn.Linear(width + audio_encoder.dim, width)
        nn.init.zeros_(self.zero.weight)
        nn.init.zeros_(self.zero.bias)

    def calibrate(
        self,
        motion: Tensor,
        moods: Mapping[str, Tensor] | None = None,
        controls: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Fit the range of the motion ``(N, D)``, unless it is known; emotions and controls have no effect."""
        self.motion_range.fit(motion)

    def load_weights(self, path: str | Path) -> None:
        """Load a safetensors file; a generator of motion of another size is refused with both sizes."""
        load_made_for(self, self.spec, path)

    def edit(self, motion: Tensor, speech: Tensor, mouth: Tensor) -> Tensor:
        """One edit: ``E + alpha ΔE(E, speech)`` (equation 3).

        Args:
            motion: ``(B, T, D)``.
            speech: condition ``(B, T, A)``.
            mouth: alpha, ``(B, T)`` or what becomes that.

        Returns:
            Motion ``(B, T, D)``; only the slice ``expression`` differs.
        """
        expression = self.motion_range.normalise(motion)[..., self._place]
        change = self.zero(torch.cat([expression, speech.to(expression.dtype)], -1))
        change = change * self.motion_range.scale[self._place]  # what is at rest stays there
        edited = motion.clone()
        edited[..., self._place] += mouth[..., None] * change.to(motion.dtype)
        return edited

    def closed(self, motion: Tensor) -> Tensor:
        """Motion ``(B, T, D)`` as silence leaves it."""
        silence = self.silence()
        return self.edit(motion, silence.expand(*motion.shape[:2], -1), silence.new_ones(motion.shape[:2]))

    def silence(self) -> Tensor:
        """What the audio encoder makes of silence, ``(A,)``; the sound is heard once, its learned step runs anew."""
        (encoder,) = self._wired
        device = self.zero.weight.device
        if self._silence is None:
            with torch.inference_mode(False):  # training goes on with them
                noise = torch.rand(1, SILENT_FRAMES * 640, generator=torch.Generator().manual_seed(0))
                self._silence = encoder.features((SILENT_PEAK * (2 * noise - 1)).to(device))
        heard: Tensor = encoder(self._silence.to(device), SILENT_FRAMES)
        return heard[0, SILENT_FRAMES // 2]

    def train_edit(self, motion: Tensor, speech: Tensor, mouth: Tensor, generator: Generator | None = None) -> Tensor:
        """The edit as it is trained: half of the clips are closed by silence before ("dual training").

        Args:
            motion, speech, mouth: as for :meth:`edit`; alpha counts in both edits.
            generator: draws the clips; torch's own when not given.

        Returns:
            Motion ``(B, T, D)``.
        """
        first_closed = drawn(SILENT_SHARE, motion, generator)[:, None, None]
        silence = self.silence().expand(*motion.shape[:2], -1)
        closed = self.edit(motion, silence, mouth)
        return self.edit(torch.where(first_closed, closed, motion), speech, mouth)

    def loss(self, motion: Tensor, condition: Condition, generator: Generator | None = None) -> dict[str, Tensor]:
        """``expression``: squared error, within its range, of what full speech makes of the motion that is edited.

        Args:
            motion: ``(B, T, D)``.
            condition: ``original`` is edited, or else the start motion; controls have no effect.
            generator: draws the clips that silence edits first, in training.
        """
        original = self._original(condition)
        check_shape(motion, tuple(original.shape), "motion")
        mouth = motion.new_ones(motion.shape[:2])
        if self.training:
            edited = self.train_edit(original, condition.audio, mouth, generator)
        else:
            edited = self.edit(self.closed(original), condition.audio, mouth)
        error = self.motion_range.normalise(edited) - self.motion_range.normalise(motion)
        squared = error[..., self._place].square().mean(-1)
        return {"expression": squared.mean() if condition.mask is None else squared[condition.mask].mean()}

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        generator: Generator,
        *,
        prefix: Tensor | None = None,
        steps: int = 50,
        guidance: float = 1.0,
    ) -> Tensor:
        """The motion ``(B, T, D)`` that is edited, closed and then spoken; nothing is drawn, and there are no steps.

        Raises:
            ConfigError: for another control than ``mouth``, a negative alpha, and a guidance other than 1.
            ShapeError: when a track, the prefix or the motion that is edited does not fit.
        """
        original = self._original(condition)
        frames = original.shape[:2]
        check_controls(condition.controls, self.attributes, *frames)
        if guidance != 1:
            raise ConfigError(f"Audio2Exp takes no guidance (got {guidance:g}); ask for more by 'mouth'.")
        mouth = condition.controls.get(MOUTH, original.new_full(frames, self.mouth))
        check_shape(mouth, tuple(frames), f"control '{MOUTH}'")
        if (mouth < 0).any():
            raise ConfigError(f"control '{MOUTH}' has the value {mouth.nan_to_num().min():g}; it must be 0 or more.")
        motion = self.edit(self.closed(original), condition.audio, mouth.where(~mouth.isnan(), self.mouth))
        if prefix is None:
            return motion
        check_prefix(prefix, motion.shape)
        return torch.cat([prefix, motion[:, prefix.shape[1] :]], dim=1)

    def _original(self, condition: Condition) -> Tensor:
        """What is edited, ``(B, T, D)``."""
        check_shape(
            condition.audio, ("B", "T", self.zero.in_features - self.zero.out_features), "audio of the condition"
        )
        batch, frames = condition.audio.shape[:2]
        if condition.original is None:
            check_shape(condition.start_motion, (batch, self.spec.dim), "start motion")
            return condition.start_motion[:, None].expand(-1, frames, -1)
        check_shape(condition.original, (batch, frames, self.spec.dim), "motion that is edited")
        return condition.original
