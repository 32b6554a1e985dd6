import math

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ShapeError
from talkingface.metrics.functional.frechet import BLOCK, frechet_distance, kernel_distance, moments


def draws(count: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def summed(rows: Tensor) -> tuple[Tensor, Tensor]:
    return moments(len(rows), rows.sum(0), rows.T @ rows)


def test_moments_from_sums_are_the_usual_ones() -> None:
    rows = draws(50, 6)
    mean, covariance = summed(rows)
    torch.testing.assert_close(mean, rows.mean(0), atol=1e-14, rtol=0)
    torch.testing.assert_close(covariance, torch.cov(rows.T), atol=1e-13, rtol=0)
    with pytest.raises(ShapeError, match="products"):
        moments(50, rows.sum(0), rows)


def test_known_gaussians_have_their_known_distance() -> None:
    mean_1, mean_2 = torch.tensor([0.0, 0.0]).double(), torch.tensor([3.0, 4.0]).double()
    spread_1, spread_2 = torch.tensor([1.0, 4.0]).double().diag(), torch.tensor([9.0, 16.0]).double().diag()
    # diagonal: |m|² + Σ (σ1 - σ2)²
    assert frechet_distance((mean_1, spread_1), (mean_2, spread_2)).item() == pytest.approx(25 + 4 + 4, abs=1e-12)


def test_covariances_that_do_not_commute() -> None:
    a = draws(8, 3, 1).T @ draws(8, 3, 1)
    b = draws(8, 3, 2).T @ draws(8, 3, 2)
    values = torch.linalg.eigvals(a @ b).real.sqrt().sum()
    mean = torch.zeros(3, dtype=torch.float64)
    expected = (a.trace() + b.trace() - 2 * values).item()
    assert frechet_distance((mean, a), (mean, b)).item() == pytest.approx(expected, abs=1e-12)
    commuting = (a.trace() + b.trace() - 2 * (a.diag() * b.diag()).sqrt().sum()).item()
    assert abs(expected - commuting) > 0.1  # the control: their diagonals alone give another number


def test_a_set_has_no_distance_from_itself_at_any_rank() -> None:
    for count in (5, 64, 500):
        assert frechet_distance(summed(draws(count, 64)), summed(draws(count, 64))).item() < 1e-11


def test_it_is_symmetric_and_invariant_to_rotation() -> None:
    first, second = draws(40, 12, 3), draws(30, 12, 4) * 2 + 1
    rotation = torch.linalg.qr(draws(12, 12, 5)).Q
    value = frechet_distance(summed(first), summed(second)).item()
    assert frechet_distance(summed(second), summed(first)).item() == pytest.approx(value, rel=1e-12)
    turned = frechet_distance(summed(first @ rotation), summed(second @ rotation)).item()
    assert turned == pytest.approx(value, rel=1e-11)


def test_order_of_summation_does_not_show_even_below_full_rank() -> None:
    first, second = draws(60, 200, 6), draws(50, 200, 7) + 0.3
    halves = [first[:17], first[17:]]
    total = sum((half.sum(0) for half in halves), torch.zeros(200).double())
    products = sum((half.T @ half for half in halves), torch.zeros(200, 200).double())
    apart = frechet_distance(moments(60, total, products), summed(second)).item()
    assert apart == pytest.approx(frechet_distance(summed(first.flip(0)), summed(second)).item(), abs=1e-9)


def test_features_that_never_vary_do_not_matter() -> None:
    first, second = draws(40, 6, 8), draws(40, 6, 9) + 1
    padded = [torch.cat([rows, torch.full((40, 3), 2.0).double()], dim=1) for rows in (first, second)]
    value = frechet_distance(summed(first), summed(second)).item()
    assert frechet_distance(summed(padded[0]), summed(padded[1])).item() == pytest.approx(value, abs=1e-10)


def test_a_larger_shift_is_a_larger_distance() -> None:
    rows = draws(100, 8, 10)
    values = [frechet_distance(summed(rows), summed(rows + shift)).item() for shift in (0.0, 0.1, 0.5, 2.0)]
    assert values == pytest.approx([8 * shift**2 for shift in (0.0, 0.1, 0.5, 2.0)], abs=1e-11)


def test_kernel_distance_is_the_formula_over_all_pairs() -> None:
    first, second = draws(5, 3, 11), draws(4, 3, 12) + 1

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    own = [kernel(first[i], first[j]) for i in range(5) for j in range(5) if i != j]
    other = [kernel(second[i], second[j]) for i in range(4) for j in range(4) if i != j]
    both = [kernel(x, y) for x in first for y in second]
    expected = math.fsum(own) / 20 + math.fsum(other) / 12 - 2 * math.fsum(both) / 20
    assert kernel_distance(first, second).item() == pytest.approx(expected, abs=1e-12)


def test_kernel_distance_is_computed_in_blocks() -> None:
    first, second = draws(BLOCK + 7, 2, 13), draws(30, 2, 14)
    whole = kernel_distance(first, second)
    shuffled = first[torch.randperm(len(first), generator=torch.Generator().manual_seed(0))]
    assert kernel_distance(shuffled, second).item() == pytest.approx(whole.item(), abs=1e-12)


def test_kernel_distance_is_unbiased_where_frechet_is_not() -> None:
    generator = torch.Generator().manual_seed(1)
    pairs = [torch.randn(2, 40, 32, dtype=torch.float64, generator=generator) for _ in range(40)]
    kernels = torch.stack([kernel_distance(*pair) for pair in pairs])
    frechets = torch.stack([frechet_distance(summed(pair[0]), summed(pair[1])) for pair in pairs])
    assert kernels.mean().abs() < 3 * kernels.std() / 40**0.5
    assert frechets.mean() > 5
