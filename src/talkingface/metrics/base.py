"""What every metric of the zoo says about itself, so that a number never travels without its convention."""

from typing import ClassVar

from torchmetrics import Metric

from talkingface.core.errors import ConfigError
from talkingface.core.records import ClipPrediction


class ClipMetric(Metric):
    """A torchmetrics metric over clips.

    Called on one clip, it gives that clip's value; :meth:`compute` gives the value of all clips seen, on all processes.
    Without any clip that is NaN, never 0.

    Attributes:
        unit: ``"dB"``, ``"px"``, ``"°"`` …; empty for a pure number.
        higher_is_better: direction.
        range: least and greatest possible value.
        needs: fields of :class:`ClipPrediction` that ``update`` takes after the video, in its order.
        convention: what exactly is computed; two values compare only where this text is the same.
        citation: where the metric was defined.
    """

    full_state_update = False
    higher_is_better: bool

    unit: ClassVar[str]
    range: ClassVar[tuple[float, float]]
    needs: ClassVar[tuple[str, ...]]
    convention: ClassVar[str]
    citation: ClassVar[str]

    def update_clip(self, clip: ClipPrediction) -> None:
        """Add one clip as evaluators hold it.

        Args:
            clip: with every field that the metric needs.

        Raises:
            ConfigError: naming the fields that are absent.
        """
        missing = [name for name in self.needs if getattr(clip, name) is None]
        if missing:
            raise ConfigError(
                f"{type(self).__name__} needs {', '.join(missing)}, which clip '{clip.clip_id}' does not have."
            )
        self.update(clip.video, *(getattr(clip, name) for name in self.needs))
