"""What one step of stage 1 has to say about motion, whichever part says it."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class MotionTerms:
    """Losses of one step that look at motion, not at pictures.

    Args:
        losses: what the motion encoder minimises, by name.
        learning: what further players minimise.
        measured: what is logged only.
        ramps: how much a loss counts at this step, in ``[0, 1]``; in full where it is not named.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    learning: dict[str, Tensor] = field(default_factory=dict)
    measured: dict[str, Tensor] = field(default_factory=dict)
    ramps: dict[str, float] = field(default_factory=dict)
