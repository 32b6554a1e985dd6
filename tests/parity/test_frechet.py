"""Fréchet and kernel distance against five implementations, and the network of FID against pytorch-fid's."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from parity.metric_weights import tensors
from talkingface.metrics.functional.frechet import frechet_distance, kernel_distance, moments
from talkingface.metrics.networks.inception import load_inception

FULL_RANK, DEFICIENT = 1e-12, 1e-6  # relative to the distance (SPEC, section 3.4); the identical case absolutely
IMPLEMENTATIONS = ("scipy_sqrtm", "eigvals(torch-fidelity/torchmetrics)", "eigh_symmetric", "svd_lowrank")
CASES: dict[str, Callable[[Any], tuple[Tensor, Tensor]]] = {
    "full_rank_300x64": lambda rows: (rows["x"], rows["y"]),
    "rank_deficient_50x64": lambda rows: (rows["x"][:50], rows["y"][:40]),
    "identical": lambda rows: (rows["x"], rows["x"]),
    "mean_shift_only": lambda rows: (rows["x"], rows["x"] + 0.1),
    "n200_d512": lambda rows: (rows["u"], rows["w"]),
}


@pytest.fixture(scope="module")
def rows(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "frechet_inputs")


def summed(rows: Tensor) -> tuple[Tensor, Tensor]:
    return moments(len(rows), rows.sum(0), rows.T @ rows)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "torchmetrics"])
def test_frechet_distance_is_the_published_number(rows: Any, case: str, implementation: str) -> None:
    numbers = rows.json("frechet.json")[case]
    first, second = CASES[case](rows)
    found = frechet_distance(summed(first), summed(second)).item()
    full = min(len(first), len(second)) > first.shape[1]
    tolerance = (FULL_RANK if full else DEFICIENT) * max(1.0, numbers["scipy_sqrtm"])
    print(f"{case} {implementation}: {found - numbers[implementation]:.1e}")
    assert found == pytest.approx(numbers[implementation], abs=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_below_full_rank_the_low_rank_form_is_met_exactly(rows: Any, case: str) -> None:
    first, second = CASES[case](rows)
    found = frechet_distance(summed(first), summed(second)).item()
    assert found == pytest.approx(rows.json("frechet.json")[case]["svd_lowrank"], abs=1e-12 * max(1.0, found))


@pytest.mark.parametrize("name", ["pytorch_fid_0.3.0_full_rank", "clean_fid_0.1.35_full_rank"])
def test_published_programs_agree(rows: Any, name: str) -> None:
    found = frechet_distance(summed(rows["x"]), summed(rows["y"])).item()
    assert found == pytest.approx(rows.json("frechet.json")[name], rel=FULL_RANK)


@pytest.mark.parametrize(("variant", "shift"), [("sqrtm_eps1e-6_on_diag", 1e-5), ("with_biased_cov(ddof=0)", 0.05)])
def test_it_is_none_of_the_other_variants(rows: Any, variant: str, shift: float) -> None:
    numbers = rows.json("frechet.json")["full_rank_300x64"]
    found = frechet_distance(summed(rows["x"]), summed(rows["y"])).item()
    assert abs(found - numbers[variant]) > shift


def test_variants_are_met_when_they_are_computed(rows: Any) -> None:
    numbers = rows.json("frechet.json")["full_rank_300x64"]
    (mean_1, cov_1), (mean_2, cov_2) = summed(rows["x"]), summed(rows["y"])
    biased = frechet_distance((mean_1, cov_1 * 299 / 300), (mean_2, cov_2 * 259 / 260)).item()
    assert biased == pytest.approx(numbers["with_biased_cov(ddof=0)"], rel=FULL_RANK)
    ridge = 1e-6 * torch.eye(64, dtype=torch.float64)
    shifted = frechet_distance((mean_1, cov_1 + ridge), (mean_2, cov_2 + ridge))
    assert shifted.item() == pytest.approx(numbers["sqrtm_eps1e-6_on_diag"], rel=FULL_RANK)


@pytest.mark.parametrize("case", CASES)
def test_kernel_distance_is_the_published_number(rows: Any, case: str) -> None:
    first, second = CASES[case](rows)
    common = min(len(first), len(second))  # torch-fidelity's formula takes as many rows of both
    found = kernel_distance(first[:common], second[:common]).item()
    wanted = rows.json("frechet.json")[case]["KID_poly3_all"]
    print(f"kid {case}: {found - wanted:.1e}")
    assert found == pytest.approx(wanted, abs=1e-12)


def test_few_samples_bias_the_frechet_distance_as_published(rows: Any) -> None:
    """Two halves of one 64-d normal distribution; the draws are our own, so within their spread of 10 percent."""
    generator = torch.Generator().manual_seed(0)
    for count, wanted in rows.json("frechet.json")["bias_same_distribution"].items():
        draws = torch.randn(2, int(count), 64, dtype=torch.float64, generator=generator)
        assert frechet_distance(summed(draws[0]), summed(draws[1])).item() == pytest.approx(wanted, rel=0.1)


def test_features_of_the_network_are_pytorch_fid_s(oracle: Callable[[str, str], Any], tmp_path: Any) -> None:
    numbers = oracle("metrics", "net_fid_inception")
    weights = tensors(numbers, numbers.json("keys_fid_inception.json"), "fid.")
    bare = {name: value for name, value in weights.items() if not name.startswith("fc") and "num_batches" not in name}
    save_file(bare, tmp_path / "bare.safetensors")
    torch.save(weights, tmp_path / "whole.pth")
    image = torch.from_numpy(numbers.random("fid.input").random((2, 3, 256, 256)).astype("float32"))
    with torch.no_grad():
        found = load_inception(tmp_path / "bare.safetensors")(image)
        assert torch.equal(found, load_inception(tmp_path / "whole.pth")(image))
    difference = (found.double() - numbers["f64"]).abs().max().item()
    print(f"fid inception: {difference:.1e}, largest feature {numbers['f64'].max():.3f}")
    assert difference < 1e-6
