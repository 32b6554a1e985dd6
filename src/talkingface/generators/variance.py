"""Head pose, place and size as conditions that are predicted from speech or given (AniTalker, section 3.3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.generators.normalisation import MotionRange


@dataclass(frozen=True)
class Attribute:
    """A control track and its limits.

    Args:
        width: numbers a frame.
        low, high: limits in public units, as users give them.
        divisor: public units in one unit of the networks.
        unit: name of the public unit.
    """

    width: int
    low: float
    high: float
    divisor: float
    unit: str


# In the order in which the published adapter adds them.
ATTRIBUTES = {
    "location": Attribute(1, 0.0, 1.0, 1.0, "of the frame's width"),
    "scale": Attribute(1, 0.0, 1.0, 1.0, "of the frame's height"),
    "pose": Attribute(3, -90.0, 90.0, 90.0, "degrees"),
}


class VarianceAdapter(nn.Module):
    """Adds what the head does to the speech: for each attribute a predictor, and an encoder of its value.

    ``x = x + encoder(value)``, where the value is what is given or else ``predictor(x)``; the next attribute sees the
    sum. Order: location, scale, pose. Values beyond the limits of :data:`ATTRIBUTES` are clipped, as in the published
    code, for labels of real clips have such frames; what users ask for is refused by :func:`check_controls` before.

    The heads of real clips turn by a fiftieth of a quarter turn, about places that are never 0: an encoder hardly sees
    that. Encoders and predictors therefore work in the range of the training clips, once :meth:`fit` has learnt it.

    Args:
        dim: width A of the speech condition.
        attributes: names out of :data:`ATTRIBUTES`, in any order; none makes an adapter that changes nothing.
        hidden: width of the LSTMs.

    Raises:
        ConfigError: for an unknown attribute.
    """

    def __init__(self, dim: int, attributes: Sequence[str], hidden: int = 128) -> None:
        super().__init__()
        for name in attributes:
            if name not in ATTRIBUTES:
                raise ConfigError(f"there is no attribute '{name}'; known: {did_you_mean(name, ATTRIBUTES)}.")
        self.dim = dim
        self.attributes = tuple(name for name in ATTRIBUTES if name in attributes)
        widths = {name: ATTRIBUTES[name].width for name in self.attributes}
        self.ranges = nn.ModuleDict({name: MotionRange(*[1] * width) for name, width in widths.items()})
        self.predictors = nn.ModuleDict({name: _Recurrent(dim, hidden, width) for name, width in widths.items()})
        self.encoders = nn.ModuleDict({name: _Recurrent(width, hidden, dim) for name, width in widths.items()})

    def fit(self, controls: Mapping[str, Tensor]) -> None:
        """Learn the range of each attribute, unless it is known.

        Args:
            controls: name → values of the training clips in public units, ``(N,)`` or ``(N, 3)``; NaN where unknown.
                What is absent or never known keeps the networks' units.
        """
        for name in self.attributes:
            if name in controls:
                values = _in_units(name, controls[name].reshape(-1, ATTRIBUTES[name].width))
                known = values[~values.isnan().any(-1)]
                if len(known):
                    its = self._range(name)
                    its.fit(known.to(its.centre))

    def forward(self, speech: Tensor, given: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the attributes to the speech.

        Args:
            speech: ``(B, T, A)``.
            given: values that replace the predicted ones, tracks ``(B, T)`` or ``(B, T, 3)`` in public units; NaN marks
                frames that are predicted after all. Tracks of other attributes have no effect.

        Returns:
            The sum ``(B, T, A)``, and what the predictors say, whether it was used or not: name → ``(B, T, width)`` in
            the networks' units (pose in quarter turns).
        """
        check_shape(speech, ("B", "T", self.dim), "audio of the condition")
        predicted: dict[str, Tensor] = {}
        for name in self.attributes:
            its, value = self._range(name), self.predictors[name](speech)
            predicted[name] = its.restore(value)
            if name in given:
                wanted = its.normalise(_track(name, given[name], value))
                value = torch.where(wanted.isnan(), value, wanted)
            speech = speech + self.encoders[name](value)
        return speech, predicted

    def losses(
        self, predicted: Mapping[str, Tensor], controls: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error of each predictor, in the networks' units.

        Args:
            predicted: as :meth:`forward` returns it.
            controls: what the head really did, in public units; NaN marks frames without truth, and a track that is
                absent has none at all. They do not count: without any truth the loss is 0.
            mask: ``(B, T)`` bool, true where a frame exists.
        """
        found = {}
        for name, value in predicted.items():
            if name not in controls:
                found[name] = 0 * value.sum()  # keeps the parameters in the graph, as distributed training wants
                continue
            truth = _track(name, controls[name], value)
            known = ~truth.isnan() if mask is None else ~truth.isnan() & mask.unsqueeze(-1)
            error = torch.where(known, value - truth.nan_to_num(), 0).square()
            found[name] = error.sum() / known.sum().clamp(min=1)
        return found

    def _range(self, name: str) -> MotionRange:
        return cast(MotionRange, self.ranges[name])


def check_controls(controls: Mapping[str, Tensor], attributes: Sequence[str], batch: int, frames: int) -> None:
    """Refuse control tracks that a generator cannot follow.

    Args:
        controls: name → track ``(B, T)``, or ``(B, T, 3)`` for the pose, in public units; NaN leaves a frame free.
        attributes: what the generator can be told.
        batch, frames: B and T.

    Raises:
        ConfigError: for a track that the generator does not know, or a value beyond its limits.
        ShapeError: for a track of another length or width.
    """
    for name, track in controls.items():
        if name not in attributes:
            known = did_you_mean(name, attributes) or "no control at all"
            raise ConfigError(f"this generator cannot be told '{name}'; it takes: {known}.")
        if name not in ATTRIBUTES:  # an emotion has no limits, and its width is known where it is told
            continue
        about = ATTRIBUTES[name]
        check_shape(track, (batch, frames, about.width)[: 2 + (about.width > 1)], f"control '{name}'")
        beyond = (track < about.low) | (track > about.high)
        if beyond.any():
            worst = track[beyond][0].item()
            raise ConfigError(
                f"control '{name}' has the value {worst:g}; "
                f"it must lie between {about.low:g} and {about.high:g} {about.unit}."
            )


def _track(name: str, track: Tensor, like: Tensor) -> Tensor:
    """Track in public units → ``(B, T, width)`` in the networks'."""
    check_shape(track, like.shape[:2] if ATTRIBUTES[name].width == 1 else like.shape, f"control '{name}'")
    return _in_units(name, track.reshape(like.shape).to(like.dtype))


def _in_units(name: str, values: Tensor) -> Tensor:
    """Values in public units → in the networks'; clipping keeps NaN."""
    about = ATTRIBUTES[name]
    return values.clamp(about.low, about.high) / about.divisor


class _Recurrent(nn.Module):
    """Two-layer LSTM and a linear layer, ``(B, T, in)`` → ``(B, T, out)``."""

    def __init__(self, in_features: int, hidden: int, out_features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_features, hidden, num_layers=2, batch_first=True)
        self.linear = nn.Linear(hidden, out_features)

    def forward(self, sequence: Tensor) -> Tensor:
        projected: Tensor = self.linear(self.lstm(sequence)[0])
        return projected
