"""What every metric of the zoo says about itself, so that a number never travels without its convention."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from talkingface.metrics.track import ScoredClip, check_needs


@dataclass(frozen=True)
class ClipScore:
    """What a metric says of one clip.

    Args:
        value: NaN where nothing of the clip could be scored.
        lost: frames (or windows) of the prediction in which nothing was found.
        total: frames (or windows) that were to be scored, the lost ones included.
    """

    value: float
    lost: int
    total: int


class ClipMetric(Metric):
    """A torchmetrics metric over clips.

    Called on one clip, it gives that clip's value; :meth:`compute` gives the value of all clips seen, on all processes.
    Without any clip that is NaN, never 0.

    Attributes:
        unit: ``"dB"``, ``"px"``, ``"°"`` …; empty for a pure number.
        higher_is_better: direction; ``None`` where the best value is that of the real clip.
        range: least and greatest possible value.
        needs: what ``update`` takes, in its order: ``"video"``, ``"target"``, ``"source"``, ``"audio"``, ``"path"``,
            ``"fps"``, or a feature of one of them, such as ``"target.landmarks"`` (see :class:`ScoredClip`).
        networks: names in the weights manifest of what the metric itself loads, beside the extractors of its needs;
            such a metric takes ``device`` and ``weights`` as an :class:`Extractor` does.
        convention: what exactly is computed; two values compare only where this text is the same.
        citation: where the metric was defined.
    """

    full_state_update = False
    higher_is_better: bool | None

    unit: ClassVar[str]
    range: ClassVar[tuple[float, float]]
    needs: ClassVar[tuple[str, ...]]
    networks: ClassVar[tuple[str, ...]] = ()
    convention: ClassVar[str]
    citation: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_needs(getattr(cls, "needs", ()))

    @abstractmethod
    def update_clip(self, clip: ScoredClip) -> ClipScore | None:
        """Add one clip as evaluators hold it.

        Args:
            clip: with everything that the metric needs.

        Returns:
            The clip's own score; ``None`` for a metric that only a set of clips has, such as FID.

        Raises:
            UnscorableError: when the clip lacks something, or is too short; nothing has been added then.
        """


class MeanMetric(ClipMetric):
    """Mean over what is scored in a clip, then over clips, so that a long clip weighs no more than a short one.

    Subclasses define :meth:`values`; :meth:`update` takes the same arguments. Sums and counts are the only states: any
    split of the clips over processes and batches gives the same value, and memory does not grow.

    Attributes:
        penalty: what a frame counts in which nothing was found of the prediction (NaN in :meth:`values`); with ``None``
            such frames are listed as lost and not in the mean.
    """

    total: Tensor
    clips: Tensor
    lost: Tensor
    penalty: ClassVar[float | None] = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("lost", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @abstractmethod
    def values(self, *needs: Any) -> Tensor:
        """What the clip's mean is taken over.

        Args:
            needs: of one clip, in the order of :attr:`needs`.

        Returns:
            ``(N,)``, one value a frame or window, or one for the clip; NaN where nothing was found of the
            prediction. Frames whose *target* cannot be scored are left out.

        Raises:
            UnscorableError: when the clip cannot be scored at all.
        """

    def update(self, *needs: Any) -> None:
        """Add one clip; arguments as :meth:`values`."""
        self._add(self.values(*needs))

    def update_clip(self, clip: ScoredClip) -> ClipScore:
        """Add one clip; see :meth:`ClipMetric.update_clip`."""
        score = self._add(self.values(*(clip[need] for need in self.needs)))
        # What torchmetrics does around ``update``: a value that was computed before holds no longer.
        self._computed = None
        self._update_count += 1
        return score

    def compute(self) -> Tensor:
        """Mean over clips, a float64 scalar; NaN when there were none."""
        return self.total / self.clips

    def _add(self, values: Tensor) -> ClipScore:
        values = values.detach().double().cpu()
        lost = int(values.isnan().sum())
        if self.penalty is not None:
            values = values.nan_to_num(nan=self.penalty)
        value = float(values.nanmean())  # NaN of nothing
        if value == value:
            self.total += value
            self.clips += 1
        self.lost += lost
        return ClipScore(value, lost, len(values))
