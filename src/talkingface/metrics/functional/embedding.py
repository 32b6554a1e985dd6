"""Identity as similarity of face embeddings, frame by frame and between clips, in float64."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine similarity of embeddings, row by row.

    Args:
        first: ``(..., D)``, of any length but zero.
        second: the same shape.

    Returns:
        float64 ``(...)`` in ``[-1, 1]``; NaN where a row is NaN.

    Raises:
        ShapeError: two shapes.

    >>> cosine(torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[2.0, 0.0], [1.0, -1.0]])).tolist()
    [1.0, 0.0]
    """
    check_shape(second, tuple(first.shape), "second")
    first, second = functional.normalize(first.double(), dim=-1), functional.normalize(second.double(), dim=-1)
    return (first * second).sum(-1).clamp(-1, 1)  # rounding can leave the range by 1e-16


def embedding_distance(first: Tensor, second: Tensor) -> Tensor:
    """Average embedding distance of FOMM's evaluation code, row by row: the squared distance of unit vectors.

    Equals ``2 - 2·cosine``. The paper (Siarohin et al. 2019, section 4) speaks of the distance, its code squares it.

    Args:
        first: ``(..., D)``.
        second: the same shape.

    Returns:
        float64 ``(...)`` in ``[0, 4]``.

    Raises:
        ShapeError: two shapes.
    """
    check_shape(second, tuple(first.shape), "second")
    first, second = functional.normalize(first.double(), dim=-1), functional.normalize(second.double(), dim=-1)
    return (first - second).square().sum(-1)


def mean_embedding(embeddings: Tensor) -> Tensor:
    """One unit vector for a clip: the mean of its frames' unit vectors.

    Args:
        embeddings: ``(T, D)``, NaN rows where no face was found.

    Returns:
        float64 ``(D,)``; NaN when no frame has a face.
    """
    check_shape(embeddings, ("T", "D"), "embeddings")
    return functional.normalize(functional.normalize(embeddings.double(), dim=-1).nanmean(0), dim=-1)


@dataclass(frozen=True)
class PairSimilarity:
    """Mean similarity of pairs of real clips.

    Args:
        mean: NaN when there are no pairs.
        pairs: how many pairs of clips.
        groups: how many persons (ceiling), or pairs of persons (floor), they belong to; each weighs the same.
    """

    mean: float
    pairs: int
    groups: int


Clips = Mapping[str, tuple[str, Tensor]]


def identity_ceiling(clips: Clips) -> PairSimilarity:
    """How similar two different clips of one person are: what the best of methods can hope for.

    Args:
        clips: clip → (identity, :func:`mean_embedding`); clips whose embedding is NaN are left out.

    Returns:
        Mean over the pairs of a person, then over persons.

    >>> here, there = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> identity_ceiling({"a": ("ann", here), "b": ("ann", there), "c": ("bob", here)})
    PairSimilarity(mean=0.0, pairs=1, groups=1)
    """
    people = _by_identity(clips)
    return _mean_of_groups(_similarities(own, own).flatten()[_above_diagonal(len(own))] for own in people)


def identity_floor(clips: Clips) -> PairSimilarity:
    """How similar clips of two different persons are: what a method reaches that ignores who is to be shown.

    Args:
        clips: as :func:`identity_ceiling`.

    Returns:
        Mean over the pairs of clips of two persons, then over pairs of persons.
    """
    people = _by_identity(clips)
    return _mean_of_groups(_similarities(*pair).flatten() for pair in combinations(people, 2))


def _by_identity(clips: Clips) -> list[Tensor]:
    """Embeddings ``(clips, D)`` of each person, in the order of their names."""
    people: dict[str, list[Tensor]] = {}
    for _, (identity, embedding) in sorted(clips.items()):
        if not embedding.isnan().any():
            people.setdefault(identity, []).append(embedding.double())
    return [torch.stack(own) for _, own in sorted(people.items())]


def _similarities(first: Tensor, second: Tensor) -> Tensor:
    """Every clip of one person with every clip of another, ``(n, m)``."""
    return functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).mT


def _above_diagonal(count: int) -> Tensor:
    return torch.ones(count, count, dtype=torch.bool).triu(1).flatten()


def _mean_of_groups(groups: Iterator[Tensor]) -> PairSimilarity:
    filled = [group for group in groups if len(group)]
    if not filled:
        return PairSimilarity(float("nan"), 0, 0)
    mean = torch.stack([group.mean() for group in filled]).mean().item()
    return PairSimilarity(mean, sum(map(len, filled)), len(filled))
