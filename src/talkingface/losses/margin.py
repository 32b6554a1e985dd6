"""Softmax over identities with a margin: embeddings of one person must be nearer by an angle, or by a cosine.

AniTalker's supplement (2.2.1) names AAM-Softmax with margin 0.2 and scale 30, but cites the paper of AM-Softmax; both
are here.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.losses.metric_learning import MetricLearning


def aam_logits(
    cosine: Tensor, labels: Tensor, margin: float = 0.2, scale: float = 30.0, easy_margin: bool = False
) -> Tensor:
    """Additive angular margin (ArcFace, Deng et al. 2019): ``cos(θ + m)`` in place of ``cos θ`` of the own class.

    Beyond ``θ = π - m``, where ``cos(θ + m)`` would rise again, it is continued by ``cos θ - m sin m``.

    Args:
        cosine: to the centre of every class, ``(B, classes)`` in ``[-1, 1]``.
        labels: own class, ``(B,)``.
        margin: radians.
        scale: factor of all logits.
        easy_margin: a margin only where ``θ < π/2``, without continuation.

    Returns:
        Logits for a cross entropy, ``(B, classes)``.
    """
    own = _own(cosine, labels)
    # at θ = 0 the slope of the root is infinite; the clamp gives it a gradient of 0 there instead of NaN
    sine = (1 - own**2).clamp(min=torch.finfo(own.dtype).tiny).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    if easy_margin:
        moved = torch.where(own > 0, moved, own)
    else:
        moved = torch.where(own > math.cos(math.pi - margin), moved, own - margin * math.sin(margin))
    return scale * cosine.scatter(1, labels[:, None], moved)


def am_logits(cosine: Tensor, labels: Tensor, margin: float = 0.2, scale: float = 30.0) -> Tensor:
    """Additive margin (AM-Softmax, Wang et al. 2018; CosFace): ``cos θ - m`` in place of ``cos θ`` of the own class.

    Args:
        cosine, labels, scale: as for :func:`aam_logits`.
        margin: subtracted from the cosine.
    """
    return scale * cosine.scatter(1, labels[:, None], _own(cosine, labels) - margin)


class AMSoftmax(MetricLearning):
    """Classification with an additive margin of the cosine; the class centres are learned.

    Args:
        dim: size of the embeddings.
        classes: how many identities.
        margin, scale: as for :func:`am_logits`.
    """

    def __init__(self, dim: int, classes: int, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        self.classes = classes
        self.margin = margin
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy.

        Args:
            embedding: ``(B, dim)``, of any length.
            labels: ``(B,)`` in ``[0, classes)``.
        """
        return functional.cross_entropy(self.logits(self.cosine(embedding), labels), labels)

    def cosine(self, embedding: Tensor) -> Tensor:
        """Embeddings ``(B, dim)`` → cosines to the class centres ``(B, classes)``."""
        check_shape(embedding, ("B", self.weight.shape[1]), "embedding")
        return functional.linear(functional.normalize(embedding), functional.normalize(self.weight))

    def compare(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, person: Tensor, stranger: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Every picture is classified, the negatives as who they are; right is one that is nearest to its centre."""
        cosine = self.cosine(torch.cat([anchor, positive, negative]))
        labels = torch.cat([person, person, stranger])
        right = (cosine.detach().argmax(1) == labels).float().mean()
        return functional.cross_entropy(self.logits(cosine, labels), labels), right

    def logits(self, cosine: Tensor, labels: Tensor) -> Tensor:
        """Cosines to the class centres → logits, each ``(B, classes)``."""
        return am_logits(cosine, labels, self.margin, self.scale)


class AAMSoftmax(AMSoftmax):
    """Classification with an additive margin of the angle; the class centres are learned.

    Args:
        dim, classes: as for :class:`AMSoftmax`.
        margin, scale, easy_margin: as for :func:`aam_logits`.
    """

    def __init__(
        self, dim: int, classes: int, margin: float = 0.2, scale: float = 30.0, easy_margin: bool = False
    ) -> None:
        super().__init__(dim, classes, margin, scale)
        self.easy_margin = easy_margin

    def logits(self, cosine: Tensor, labels: Tensor) -> Tensor:
        """Cosines to the class centres → logits, each ``(B, classes)``."""
        return aam_logits(cosine, labels, self.margin, self.scale, self.easy_margin)


def _own(cosine: Tensor, labels: Tensor) -> Tensor:
    """Cosine to the own class, ``(B, 1)``."""
    check_shape(cosine, ("B", "classes"), "cosine")
    check_shape(labels, (len(cosine),), "labels")
    return cosine.gather(1, labels[:, None])
