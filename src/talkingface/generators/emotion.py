"""The emotion of a motion as a condition: taken from the motion itself in training, told by name or example after."""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.keypoints import LIPS
from talkingface.core.motion_spec import MotionSpec
from talkingface.generators.draws import drawn
from talkingface.generators.normalisation import divisor

EMOTION = "emotion"  # name of the control track
NEUTRAL = "neutral"
WINDOW = 25  # frames, the paper's K: in a second blinks average out and moods stay


class EmotionCondition(nn.Module):
    """How a face feels while it speaks: its clean expression (Takin-ADA, section 2.3, "Emotion Condition").

    The expression of a motion, without the mouth where its keypoints are known, is averaged over a second around each
    frame. What is told is by how much that differs from the neutral one. Training takes it from the motion itself, so
    that no clip needs a label; clips that have one teach what an emotion's name means. Where it is not told, the
    generator is free to hear the emotion in the speech.

    Args:
        spec: of the motion; it needs a slice ``expression``.
        names: emotions that can be told by name once clips with such labels were seen.
        width: of the code.
        dropout: share of training clips whose emotion is withheld, in ``(0, 1)``.

    Raises:
        ConfigError: for motion without an expression, or a dropout without which "not told" would never be trained.
    """

    neutral: Tensor
    offsets: Tensor
    labelled: Tensor

    def __init__(self, spec: MotionSpec, names: Sequence[str], width: int, dropout: float) -> None:
        super().__init__()
        if "expression" not in spec.slices:
            raise ConfigError(
                f"emotions are told as expression, and this motion has none apart from the rest (it has "
                f"{', '.join(spec.slices)}). Take a representation with a slice 'expression', or leave emotions empty."
            )
        if not 0 < dropout < 1:
            raise ConfigError(f"emotion_dropout must lie between 0 and 1, got {dropout:g}.")
        self.names = tuple(names)
        self.dropout = dropout
        self.columns = clean_columns(spec)
        self.dim = len(self.columns)
        self.register_buffer("neutral", torch.zeros(self.dim))
        self.register_buffer("offsets", torch.zeros(len(self.names), self.dim))
        self.register_buffer("labelled", torch.zeros(len(self.names), dtype=torch.bool))
        self.code = nn.Linear(self.dim, width)
        self.untold = nn.Parameter(torch.zeros(width))

    @torch.no_grad()
    def fit(self, motion: Tensor, moods: Mapping[str, Tensor]) -> None:
        """Learn what is neutral, and each emotion's mean difference from it.

        Args:
            motion: of all training clips, ``(N, D)``; its mean is neutral where no clip is labelled so.
            moods: label → motion of the clips that have it, ``(n, D)``.

        Raises:
            ConfigError: for a label that is none of the names.
        """
        for name in moods:
            self._index(name)
        means = {name: frames[:, self.columns].mean(0) for name, frames in moods.items()}
        self.neutral.copy_(means.get(NEUTRAL, motion[:, self.columns].mean(0)))
        for name, mean in means.items():
            self.offsets[self._index(name)] = mean - self.neutral
            self.labelled[self._index(name)] = True

    def named(self, name: str) -> Tensor:
        """Mean difference ``(E,)`` of an emotion from neutral, as its labelled clips showed it.

        Raises:
            ConfigError: for an unknown emotion, or one that no training clip was labelled with.
        """
        index = self._index(name)
        if not self.labelled[index]:
            seen = [known for known, seen in zip(self.names, self.labelled.tolist(), strict=True) if seen]
            raise ConfigError(
                f"no training clip of this model was labelled '{name}'; labelled were: {', '.join(seen) or 'none'}. "
                "Give a picture or a clip that shows it."
            )
        return self.offsets[index]

    def shown(self, motion: Tensor) -> Tensor:
        """How a motion feels: clean expression of ``(..., T, D)``, less the neutral one, ``(..., T, E)``."""
        return over_window(motion[..., self.columns]) - self.neutral

    def dressed(self, motion: Tensor, told: Tensor) -> Tensor:
        """A start motion that shows what is told, and of its own mouth and pose only ("combined with the extracted
        mouth and pose features as input").

        In training a clip starts in its mood. Left in the start motion, that mood would be all that a generator looks
        at, and a neutral portrait could not be told another.

        Args:
            motion: ``(B, D)``.
            told: difference from neutral ``(B, E)``; a row with NaN leaves the motion as it is.
        """
        dressed = motion.clone()
        dressed[:, self.columns] = torch.where(
            told.isnan().any(-1, keepdim=True), motion[:, self.columns], self.neutral + told
        )
        return dressed

    def withhold(self, track: Tensor, generator: Generator | None) -> Tensor:
        """A track ``(B, T, E)`` with all of a clip unknown (NaN) for the share of clips that training withholds."""
        return track.masked_fill(drawn(self.dropout, track, generator)[:, None, None], torch.nan)

    def forward(self, track: Tensor, scale: Tensor) -> Tensor:
        """Code of what is told.

        Args:
            track: difference from neutral ``(B, T, E)``; a frame with NaN is not told.
            scale: usual half-range of the motion ``(D,)``, 0 for what is at rest.

        Returns:
            ``(B, T, width)``.
        """
        unknown = track.isnan().any(-1, keepdim=True)
        told = track.masked_fill(unknown, 0) / divisor(scale[self.columns])
        return torch.where(unknown, self.untold, self.code(told))

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ConfigError(f"there is no emotion '{name}'; this model has: {did_you_mean(name, self.names)}.")
        return self.names.index(name)


def clean_columns(spec: MotionSpec) -> list[int]:
    """Columns of a motion that show an emotion: its expression, without LivePortrait's six keypoints of the mouth.

    >>> len(clean_columns(MotionSpec.of_keypoints("liveportrait", 21)))
    45
    >>> len(clean_columns(MotionSpec.of_keypoints("facevid2vid", 15)))
    45
    """
    place = spec.slice("expression")
    mouth = LIPS if spec.convention == "liveportrait" and spec.num_keypoints == 21 else ()
    return [column for column in range(place.start, place.stop) if (column - place.start) // 3 not in mouth]


def over_window(track: Tensor) -> Tensor:
    """Mean over the :data:`WINDOW` frames around each, or those that there are, ``(..., T, E)`` → the same shape."""
    flat = track.flatten(0, -3) if track.ndim > 3 else track
    mean = functional.avg_pool1d(flat.mT, WINDOW, 1, WINDOW // 2, count_include_pad=False)
    return mean.mT.reshape(track.shape)
