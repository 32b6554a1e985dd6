"""What should not be where it is: the person in motion codes, expression in canonical keypoints and in the output."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.data.synthetic import USUAL, Staging, render_clip

Array = NDArray[np.float64]
Frames = NDArray[np.uint8]
RIDGE = 1e-2  # share of a feature's unit variance; keeps directions that hardly vary from deciding
RESAMPLES = 1000
SHUFFLES = 20


@dataclass(frozen=True)
class IdentityLeakage:
    """How well a linear probe tells people apart, on clips that it was not fitted to.

    Attributes:
        accuracy: share of frames whose person is named rightly, in ``[0, 1]``; near ``chance`` where nothing leaks.
        chance: of guessing, 1 / people.
        shuffled: accuracy of the same probe fitted to clips with shuffled names, mean of 20: the negative control.
        interval: 95 % of ``accuracy`` under resampling of people.
        people, frames: how many were told apart, in how many test frames.
    """

    accuracy: float
    chance: float
    shuffled: float
    interval: tuple[float, float]
    people: int
    frames: int


@dataclass(frozen=True)
class Codes:
    """What an encoder makes of clips.

    Args:
        motion: ``(N, D)``, a row a frame; or canonical keypoints ``(N, 3 K)``.
        identity: person of each row, ``(N,)``.
        clip: clip of each row, ``(N,)``; unique over people.
        expression: true expression of each row, ``(N, E)``.
    """

    motion: Array
    identity: NDArray[np.int64]
    clip: NDArray[np.int64]
    expression: Array


class LinearProbe:
    """Ridge regression on standardised features, with an intercept; in closed form and float64.

    Args:
        features: ``(N, D)``; a feature that never varies is left out of account.
        targets: ``(N, K)``.
        ridge: penalty on the weights, per row.

    >>> probe = LinearProbe(np.arange(4.0)[:, None], 2 * np.arange(4.0)[:, None] + 1, ridge=0.0)
    >>> probe(np.array([[10.0]])).round(6).tolist()
    [[21.0]]
    """

    def __init__(self, features: ArrayLike, targets: ArrayLike, ridge: float = RIDGE) -> None:
        x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
        if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
            raise ShapeError(f"features {x.shape} and targets {y.shape} are not (N, D) and (N, K).")
        self._centre, spread = x.mean(0), x.std(0)
        self._scale = np.where(spread > 1e-9 * max(float(np.abs(x).max()), 1e-30), spread, np.inf)
        self._offset = y.mean(0)
        x, y = (x - self._centre) / self._scale, y - self._offset
        penalty = ridge * len(x)
        if x.shape[1] <= len(x):
            self._weight: Array = np.linalg.pinv(x.T @ x + penalty * np.eye(x.shape[1]), hermitian=True) @ x.T @ y
        else:  # pictures have more pixels than there are frames: the same solution through (N, N)
            self._weight = x.T @ (np.linalg.pinv(x @ x.T + penalty * np.eye(len(x)), hermitian=True) @ y)

    def __call__(self, features: ArrayLike) -> Array:
        """``(N, D)`` → ``(N, K)``."""
        predicted: Array = (np.asarray(features, np.float64) - self._centre) / self._scale @ self._weight + self._offset
        return predicted


def encode_clips(
    encode: Callable[[Frames], ArrayLike],
    people: list[int],
    seeds: list[int],
    frames: int,
    size: int,
    staging: Staging = USUAL,
) -> Codes:
    """Encode clips of synthetic people.

    Args:
        encode: uint8 ``(T, H, W, 3)`` → ``(T, D)``.
        people: identity numbers.
        seeds: one clip a person and seed; what is said and done differs between them.
        frames: length of a clip.
        size: side of the frames, in pixels.
        staging: how they are filmed.
    """
    motion, identity, number, expression = [], [], [], []
    for index, (person, seed) in enumerate((person, seed) for person in people for seed in seeds):
        clip = render_clip(person, seed, frames, size, audio=False, staging=staging)
        motion.append(np.asarray(encode(clip.frames), np.float64).reshape(frames, -1))
        identity.append(np.full(frames, person))
        number.append(np.full(frames, index))
        expression.append(clip.expression.astype(np.float64))
    return Codes(np.concatenate(motion), np.concatenate(identity), np.concatenate(number), np.concatenate(expression))


def identity_leakage(train: Codes, test: Codes, seed: int = 0) -> IdentityLeakage:
    """Accuracy of a linear probe from motion to identity.

    The probe is a ridge regression on one-hot names, fitted to some clips of each person and tested on others, whose
    speech, mood and movement are drawn anew: it cannot succeed by recognising a clip.

    Args:
        train, test: the same people in different clips.
        seed: of the shuffled names and of the resampling.

    Raises:
        ConfigError: for fewer than two people, or other people in ``test`` than in ``train``.
    """
    names = np.unique(train.identity)
    if len(names) < 2 or not np.array_equal(names, np.unique(test.identity)):
        raise ConfigError("an identity probe needs two or more people, the same in its training and its test clips.")
    random = np.random.default_rng(seed)
    renamed = [train.identity, *(_shuffled(train, random) for _ in range(SHUFFLES))]
    right, *shuffled = _named_rightly(train, renamed, test, names)
    per_person = np.array([right[test.identity == name].mean() for name in names])
    drawn = per_person[random.integers(len(names), size=(RESAMPLES, len(names)))].mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return IdentityLeakage(
        accuracy=float(per_person.mean()),
        chance=1 / len(names),
        shuffled=float(np.mean(shuffled)),
        interval=(float(low), float(high)),
        people=len(names),
        frames=len(right),
    )


def expression_content(train: Codes, test: Codes) -> Array:
    """How much of the expression a linear probe finds in motion: R² on the test clips.

    Args:
        train, test: different clips.

    Returns:
        ``(E,)``, 1 is all, 0 no more than the mean, below 0 worse; NaN for a parameter that never moves in ``test``.
    """
    predicted = LinearProbe(train.motion, train.expression)(test.motion)
    error = ((predicted - test.expression) ** 2).mean(0)
    variance = test.expression.var(0)
    share: Array = 1 - np.divide(error, variance, out=np.full(len(error), np.nan), where=variance > 0)
    return share


def canonical_variance(codes: Codes) -> float:
    """How much the canonical keypoints of one person vary over expressions and poses.

    For each person the mean squared distance of a keypoint from its usual place, over that of the usual places from
    their centre; then the mean over people. Size and place of the canonical space make no difference. Takin-ADA
    (section 3.1) wants it small, "stability and expression-invariance of the canonical volume", and measures it by
    its effect only; the ratio is ours.

    Args:
        codes: canonical keypoints of each frame; different expressions and poses of each person.

    Returns:
        A share of the size squared: 0, expression and pose change nothing; 1, keypoints are anywhere. NaN where all
        keypoints of a person are in one place.

    Raises:
        ShapeError: when the rows are not keypoints in space.

    >>> still = np.tile([1.0, 0, 0, -1, 0, 0], (4, 1))
    >>> canonical_variance(Codes(still, np.zeros(4, int), np.zeros(4, int), np.zeros((4, 1))))
    0.0
    """
    if codes.motion.ndim != 2 or codes.motion.shape[1] % 3:
        raise ShapeError(f"codes are {codes.motion.shape}, expected canonical keypoints (N, 3 K).")
    shares = []
    for person in np.unique(codes.identity):
        points = codes.motion[codes.identity == person].reshape(-1, codes.motion.shape[1] // 3, 3)
        usual = points.mean(0)
        size = ((usual - usual.mean(0)) ** 2).sum(-1).mean()
        moved = ((points - usual) ** 2).sum(-1).mean()
        shares.append(moved / size if size > 0 else np.nan)
    return float(np.mean(shares))


def expression_leakage(output: ArrayLike, driving: ArrayLike, source: ArrayLike) -> tuple[float, float]:
    """How much of the source's expression stays in the output, and how much of the driving one arrives.

    ``output ≈ leakage · source + transfer · driving``, by least squares over frames and parameters together. Both
    coefficients are fitted at once: regressing output - driving on source - driving is the same where they add up to
    1, but calls a model half leaking that only ever draws a neutral face.

    Args:
        output, driving: departures from the usual expression, ``(T, K)``.
        source: the same of the portrait, ``(K,)`` or ``(T, K)``.

    Returns:
        Leakage: 0, none stays; 1, it is simply kept. Transfer: 1, the driving expression is wholly taken over. Both
        NaN where source and driving cannot be told apart.

    >>> source, driving = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [0.0, 0.5]])
    >>> [round(part, 6) for part in expression_leakage(0.5 * source + 0.5 * driving, driving, source)]
    [0.5, 0.5]
    """
    drawn, wanted = np.asarray(output, np.float64), np.asarray(driving, np.float64)
    kept = np.broadcast_to(np.asarray(source, np.float64), wanted.shape)
    if drawn.shape != wanted.shape:
        raise ShapeError(f"the output is {drawn.shape}, the driving expression {wanted.shape}; they must be equal.")
    parts, _, rank, _ = np.linalg.lstsq(np.stack([kept.ravel(), wanted.ravel()], axis=1), drawn.ravel(), rcond=1e-6)
    return (float(parts[0]), float(parts[1])) if rank == 2 else (float("nan"), float("nan"))


def _named_rightly(
    train: Codes, labelings: list[NDArray[np.int64]], test: Codes, names: NDArray[np.int64]
) -> list[Array]:
    """For each labeling of the training rows: per test row, 1 where the right person is named; ties share it."""
    targets = np.concatenate([labels[:, None] == names for labels in labelings], axis=1)
    answers = LinearProbe(train.motion, targets)(test.motion).reshape(len(test.motion), len(labelings), len(names))
    best = answers >= answers.max(2, keepdims=True) - 1e-9
    own = np.searchsorted(names, test.identity)
    hits = np.take_along_axis(best, own[:, None, None], axis=2)[..., 0] / best.sum(2)
    return list(hits.T)


def _shuffled(train: Codes, random: np.random.Generator) -> NDArray[np.int64]:
    """Names exchanged between whole clips, as often as there are clips: frames of a clip stay together."""
    clips, first = np.unique(train.clip, return_index=True)
    owner = train.identity[first][random.permutation(len(clips))]
    renamed: NDArray[np.int64] = owner[np.searchsorted(clips, train.clip)]
    return renamed
