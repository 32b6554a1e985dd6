"""Labels of a batch that a loss cannot do without."""

from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.core.records import PairBatch


def landmarks_for(loss: str, batch: PairBatch) -> Tensor:
    """Landmarks of source and driving picture, ``(B, 2, 68, 2)`` as fractions of the frame, NaN where unknown.

    Args:
        loss: what has a weight, for the message.
        batch: of the data.

    Raises:
        ConfigError: when the data gives none.
    """
    if "landmarks" not in batch:
        raise ConfigError(f"{loss} has a weight, and the data gives no landmarks. Give labelled clips, or weight 0.")
    return batch["landmarks"].float()
