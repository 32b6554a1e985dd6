"""Lip synchrony as a loss: an expert that is never trained with what it judges (Wav2Lip; ControlTalk, section 3.3)."""

from torch import Tensor
from torch.nn import functional

from talkingface.core.component import Component
from talkingface.core.errors import WeightsError
from talkingface.core.frozen import Frozen
from talkingface.hub import load_model
from talkingface.losses.sync_expert import SyncExpert

MARGIN = 1e-6  # of a probability from 0 and 1, where its logarithm or the gradient of that is infinite


def sync_loss(probability: Tensor, in_sync: Tensor) -> Tensor:
    """Mean binary cross-entropy.

    Args:
        probability: of synchrony, any shape, in ``[0, 1]``: the cosine of a :class:`SyncExpert`.
        in_sync: 1 where sound and frames belong together, 0 where they do not.

    Returns:
        Scalar, from 0 to about 14; 0.69 is what a coin gives.

    >>> import torch
    >>> round(sync_loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])).item(), 4)
    0.6931
    """
    return functional.binary_cross_entropy(probability.float().clamp(MARGIN, 1 - MARGIN), in_sync.float())


class LipSyncLoss(Component):
    """How far lips are from fitting the sound, by a frozen expert.

    The expert has no gradients, no state in checkpoints and no training mode; gradients flow through it to the frames.
    It has no opponent and sees each process's batch on its own, so that DDP has nothing to gather.

    Args:
        expert: model folder with a ``sync_expert``, as ``talkingface export`` and ``talkingface convert`` make it, or
            owner/name on the Hub.

    Raises:
        WeightsError: when there is none.
    """

    def __init__(self, *, expert: str) -> None:
        super().__init__()
        found = load_model(expert).get("sync_expert")
        if not isinstance(found, SyncExpert):
            raise WeightsError(
                f"{expert} has no sync expert. Train one (talkingface fit -c sync-expert) and export it, or convert "
                "Wav2Lip's (talkingface convert wav2lip-expert)."
            )
        self.expert = Frozen(found)

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Cross-entropy of "these are in synchrony".

        Args:
            frames: faces, ``(B, 5, 3, H, W)`` in ``[-1, 1]``, with the mouth in the lower half.
            mel: of their sound, ``(B, 80, 16)``; see :func:`talkingface.audio.sync_mel`.

        Returns:
            Scalar, at least 0.
        """
        probability: Tensor = self.expert(frames, mel)
        return sync_loss(probability, probability.new_ones(()).expand_as(probability))
