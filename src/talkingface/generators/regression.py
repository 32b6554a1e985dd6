"""The baseline of every generator: motion as a plain function of speech."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import AudioEncoder, MotionEncoder, MotionGenerator
from talkingface.core.nn import Conformer
from talkingface.core.records import Condition
from talkingface.diffusion import check_prefix
from talkingface.generators.normalisation import MotionRange, load_made_for
from talkingface.generators.variance import check_controls

FIRST_WEIGHTS = 1e-3  # deviation of the last layer's: training starts at the middle of the range, which L2 likes


class Regression(MotionGenerator):
    """Motion that is right on average, from speech, start motion and portrait through a small Conformer.

    Trained by L2 and without any draw: where several motions fit the speech it makes their mean, which lips survive and
    heads do not. With mel features it is the regression that generators from speech are usually compared with. Where a
    representation has no image encoder, there is no portrait code.

    Args:
        motion_encoder: whose motion it makes.
        audio_encoder: of the condition.
        dim: width of the Conformer.
        blocks: of the Conformer.
        dropout: of the Conformer.

    Raises:
        ConfigError: when the numbers do not fit together.
    """

    attributes = ()

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        audio_encoder: AudioEncoder,
        /,
        *,
        dim: int = 256,
        blocks: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.spec, trunk = motion_encoder.spec, motion_encoder.image_encoder
        self.motion_range = MotionRange(*self.spec.slices.values())
        self.audio_code = nn.Linear(audio_encoder.dim, dim)
        self.start_code = nn.Linear(self.spec.dim, dim)
        self.portrait_code = None if trunk is None else nn.Linear(trunk.code_dim, dim)
        self.conformer = Conformer(dim, blocks=blocks, dropout=dropout)
        self.out = nn.Linear(dim, self.spec.dim)
        nn.init.normal_(self.out.weight, std=FIRST_WEIGHTS)
        nn.init.zeros_(self.out.bias)

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

    def loss(self, motion: Tensor, condition: Condition, generator: Generator | None = None) -> dict[str, Tensor]:
        """``motion``: mean squared error within the motion's range. Controls have no effect, and nothing is drawn."""
        found = self._predict(condition)
        check_shape(motion, tuple(found.shape), "motion")
        error = (found - self.motion_range.normalise(motion)).square().mean(-1)
        return {"motion": error.mean() if condition.mask is None else error[condition.mask].mean()}

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
        """The one motion ``(B, T, D)`` that fits the condition; there are no steps, and nothing is drawn.

        Raises:
            ConfigError: for controls, and for a guidance other than 1.
            ShapeError: when the prefix does not fit.
        """
        check_controls(condition.controls, self.attributes, *condition.audio.shape[:2])
        if guidance != 1:
            raise ConfigError(f"a regression cannot be guided; leave guidance at 1 (got {guidance:g}).")
        motion = self.motion_range.restore(self._predict(condition))
        if prefix is None:
            return motion
        check_prefix(prefix, motion.shape)
        return torch.cat([prefix, motion[:, prefix.shape[1] :]], dim=1)

    def _predict(self, condition: Condition) -> Tensor:
        """Motion ``(B, T, D)``, normalised."""
        check_shape(condition.audio, ("B", "T", self.audio_code.in_features), "audio of the condition")
        still = self.start_code(self.motion_range.normalise(condition.start_motion))
        if self.portrait_code is not None:
            still = still + self.portrait_code(condition.portrait)
        motion: Tensor = self.out(self.conformer(self.audio_code(condition.audio) + still.unsqueeze(1)))
        return motion.to(condition.start_motion.dtype)
