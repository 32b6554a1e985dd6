"""Distances between two sets of features: Fréchet distance of their Gaussians, and kernel distance, in float64."""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape

BLOCK = 1024  # rows of a kernel matrix held at once: 8 MB for each thousand columns


def moments(count: Tensor | int, total: Tensor, products: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance from sums over rows, so that features need not be kept.

    Args:
        count: number of rows ``n``, at least 2.
        total: sum of the rows, float64 ``(d,)``.
        products: sum of their outer products, float64 ``(d, d)``.

    Returns:
        Mean ``(d,)`` and covariance ``(d, d)`` over ``n - 1``.

    >>> rows = torch.tensor([[1.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    >>> mean, covariance = moments(2, rows.sum(0), rows.T @ rows)
    >>> mean.tolist(), covariance.tolist()
    ([2.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """
    check_shape(products, (len(total), len(total)), "products")
    mean = total / count
    return mean, (products - count * torch.outer(mean, mean)) / (count - 1)


def frechet_distance(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Fréchet distance of two Gaussians, ``|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½)`` (Heusel et al. 2017, equation 6).

    The trace of the root is the sum of the singular values of ``L1ᵀ L2`` with ``S = L Lᵀ``. Unlike roots of the
    eigenvalues of ``S1 S2`` they do not blow rounding errors up where a covariance has not full rank, that is where
    there are fewer samples than dimensions: no ``1e-6`` on the diagonal is needed, nor any discarded imaginary part.

    Args:
        first: mean ``(d,)`` and covariance ``(d, d)``, float64.
        second: the same of the other set.

    Returns:
        float64 scalar, at least 0.
    """
    (mean_1, covariance_1), (mean_2, covariance_2) = first, second
    roots = torch.linalg.svdvals(_factor(covariance_1).T @ _factor(covariance_2)).sum()
    distance: Tensor = (mean_1 - mean_2).square().sum() + covariance_1.trace() + covariance_2.trace() - 2 * roots
    return distance.clamp(min=0)


def kernel_distance(first: Tensor, second: Tensor) -> Tensor:
    """Unbiased squared maximum mean discrepancy with the kernel ``(x·y / d + 1)³`` (Bińkowski et al. 2018, section 4).

    Over all pairs, not over random subsets, so that it has no spread of its own.

    Args:
        first: rows ``(n, d)``, two or more.
        second: rows ``(m, d)``, two or more.

    Returns:
        float64 scalar; 0 in the mean for two sets of one distribution, so it may be negative.

    >>> rows = torch.tensor([[0.0], [1.0]])
    >>> kernel_distance(rows, rows).item()
    -3.5
    """
    n, m = len(first), len(second)
    own = (_kernel_sum(first, first) - _diagonal_sum(first)) / (n * (n - 1))
    other = (_kernel_sum(second, second) - _diagonal_sum(second)) / (m * (m - 1))
    return own + other - 2 * _kernel_sum(first, second) / (n * m)


def _factor(covariance: Tensor) -> Tensor:
    """``L`` of ``S = L Lᵀ``, ``(d, rank)``, by Cholesky's method with pivots."""
    from scipy.linalg.lapack import dpstrf  # torch has none that finds the rank

    # Stops where what is left is rounding error, by LAPACK's own measure: d · eps · the largest variance.
    packed, pivots, rank, _ = dpstrf(covariance.cpu().numpy(), lower=1)
    factor = torch.empty(len(covariance), rank, dtype=torch.float64)
    factor[torch.from_numpy(pivots).long() - 1] = torch.from_numpy(packed).tril()[:, :rank]
    return factor


def _kernel_sum(first: Tensor, second: Tensor) -> Tensor:
    columns = second.double().T / second.shape[1]
    return torch.stack([(rows.double() @ columns + 1).pow_(3).sum() for rows in first.split(BLOCK)]).sum()


def _diagonal_sum(rows: Tensor) -> Tensor:
    return ((rows.double().square().sum(1)) / rows.shape[1] + 1).pow(3).sum()
