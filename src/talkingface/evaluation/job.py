"""What is to be evaluated, and how: one record that every process is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkingface.evaluation.controls import CROSS, SELF, SPEECH
from talkingface.evaluation.pairing import Pairing
from talkingface.evaluation.scoring import metric_class


@dataclass(frozen=True)
class Job:
    """One evaluation.

    Args:
        pairing: which prediction belongs to which reference.
        metrics: names in the registry.
        name: of the evaluated system, as tables show it.
        size: side that frames are resized to; as they are by default.
        skip: frames left out at the start of each clip, such as the source frame that a model was given.
        controls: whether ground truth and negative controls are scored too.
        synthetic: whether landmarks, pose and expression are read by the face reader of the synthetic set.
        labels: ``"pred"`` or ``"target"`` → folder of label files, named as the clips.
        weights: name in the weights manifest → local file.
        settings: metric → constructor arguments.
        device: where networks compute.
    """

    pairing: Pairing
    metrics: tuple[str, ...]
    name: str = "model"
    size: int | None = None
    skip: int = 0
    controls: bool = True
    synthetic: bool = False
    labels: Mapping[str, Path] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def cross(self) -> bool:
        """Whether portraits are the reference, because no true picture exists."""
        return self.pairing.pairs[0].target is None

    @property
    def systems(self) -> list[str]:
        """Rows of the table."""
        controls = (CROSS if self.cross else SELF) if self.controls else {}
        heard = any("audio" in need for name in self.metrics for need in metric_class(name).needs)
        return [self.name, *(name for name in controls if heard or name != SPEECH)]

    def neighbour(self, index: int) -> int | None:
        """The next pair that shows another person, or just another clip where all show one; ``None`` for a single pair.

        Args:
            index: of a pair.
        """
        pairs = self.pairing.pairs
        others = [(index + step) % len(pairs) for step in range(1, len(pairs))]
        strangers = (other for other in others if pairs[other].identity != pairs[index].identity)
        return next(strangers, others[0] if others else None)
