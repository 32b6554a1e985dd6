"""What a metric-learning loss is, so that a task can be given any of them (AniTalker, section 3.2)."""

from abc import abstractmethod

from torch import Tensor, nn


class MetricLearning(nn.Module):
    """Draws embeddings of one person together and those of different people apart.

    Attributes:
        classes: how many people it can tell apart by number; ``None`` where numbers do not matter.
    """

    classes: int | None = None

    @abstractmethod
    def compare(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, person: Tensor, stranger: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Judge the embeddings of a batch.

        Args:
            anchor, positive: two pictures of each person, ``(B, D)``.
            negative: a picture of somebody else, ``(B, D)``.
            person: number of the anchor's person, ``(B,)`` int64.
            stranger: number of the negative's, ``(B,)`` int64.

        Returns:
            The loss, and the share that is right already, in ``[0, 1]`` and without gradient.
        """
