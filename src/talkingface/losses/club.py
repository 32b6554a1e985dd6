"""CLUB: a learned upper bound of the mutual information of two vectors, to be minimised (Cheng et al. 2020).

AniTalker (section 3.2, supplement 2.2.1) keeps identity out of the motion latent with it. The estimator ``q(y|x)`` is
a player of its own: it learns by :meth:`CLUB.learning_loss` on detached vectors, while the encoders minimise its bound.
"""

import torch
from torch import Tensor, nn

from talkingface.core.checks import check_shape


class CLUB(nn.Module):
    """Every other sample of the batch is a negative; layout and keys of the published estimator (Linear95/CLUB).

    Args:
        x_dim, y_dim: sizes of the vectors.
        hidden: as published, where the hidden layers of mean and variance have half of it each.
    """

    def __init__(self, x_dim: int, y_dim: int, hidden: int = 512) -> None:
        super().__init__()
        self.p_mu = _perceptron(x_dim, hidden // 2, y_dim)
        self.p_logvar = nn.Sequential(*_perceptron(x_dim, hidden // 2, y_dim), nn.Tanh())

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, x_dim)`` → mean and log-variance of ``q(y|x)``, each ``(B, y_dim)``."""
        return self.p_mu(x), self.p_logvar(x)

    def forward(self, x: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """The bound ``mean_i[log q(y_i|x_i) - mean_j log q(y_j|x_i)]``, ``j = i`` included (equation 14 of CLUB).

        Args:
            x: ``(B, x_dim)``.
            y: ``(B, y_dim)``.
            generator: for estimators that draw their negatives; this one takes them all.

        Returns:
            Scalar in nats; negative where the estimator has not learned, or there is nothing to learn.
        """
        mean, log_variance = self._checked(x, y)
        # mean_j (y_j - mean)² as variance and bias: no (B, B, y_dim) tensor is needed
        negative = y.var(dim=0, correction=0) + (y.mean(dim=0) - mean) ** 2
        return _contrast((mean - y) ** 2, negative, log_variance)

    def log_likelihood(self, x: Tensor, y: Tensor) -> Tensor:
        """How well ``q`` explains the pairs, as published: without the factor ½ and the constant of a Gaussian.

        Args:
            x, y: as for :meth:`forward`.
        """
        mean, log_variance = self._checked(x, y)
        return (-((mean - y) ** 2) * torch.exp(-log_variance) - log_variance).sum(dim=1).mean()

    def learning_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """What the estimator itself minimises.

        Args:
            x, y: as for :meth:`forward`, detached from the encoders.
        """
        return -self.log_likelihood(x, y)

    def _checked(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        check_shape(x, ("B", "x_dim"), "x")
        mean, log_variance = self.moments(x)
        check_shape(y, mean.shape, "y")
        return mean, log_variance


class CLUBSample(CLUB):
    """One negative per sample (vCLUB-S of the paper, the accelerated form that AniTalker's supplement describes)."""

    def forward(
        self, x: Tensor, y: Tensor, permutation: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """The bound ``mean_i[log q(y_i|x_i) - log q(y_k|x_i)]`` with ``k`` from a permutation of the batch.

        Args:
            x, y: as for :class:`CLUB`.
            permutation: ``(B,)`` indices of the negatives; drawn when not given.
            generator: draws the permutation; torch's own, which a trainer seeds, when not given.
        """
        mean, log_variance = self._checked(x, y)
        if permutation is None:
            device = y.device if generator is None else generator.device
            permutation = torch.randperm(len(y), generator=generator, device=device).to(y.device)
        check_shape(permutation, (len(y),), "permutation")
        return _contrast((mean - y) ** 2, (mean - y[permutation]) ** 2, log_variance)


class CLUBMean(CLUB):
    """Unit variance: only the mean of ``y`` is predicted, by a hidden layer of the full size."""

    def __init__(self, x_dim: int, y_dim: int, hidden: int = 512) -> None:
        nn.Module.__init__(self)
        self.p_mu = _perceptron(x_dim, hidden, y_dim)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, x_dim)`` → mean of ``q(y|x)``, ``(B, y_dim)``, and a log-variance of zero."""
        mean = self.p_mu(x)
        return mean, torch.zeros_like(mean)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _contrast(positive: Tensor, negative: Tensor, log_variance: Tensor) -> Tensor:
    """Difference of the Gaussian log-densities, given squared distances; their constants cancel."""
    return (0.5 * (negative - positive) * torch.exp(-log_variance)).sum(dim=1).mean()
