"""Distances, offset and confidence against the official ``calc_pdist`` and an independent float64 version."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from parity.metric_weights import normal
from talkingface.metrics.functional.sync import lip_sync

CASES = [
    "random",
    "sync0",
    "audio_leads_3",
    "audio_lags_2",
    "short_T8",
    "scaled_like_real",
    "vshift10",
    "smooth_leads_1",
]
FLOAT32, FLOAT64 = 1e-5, 1e-9


@pytest.fixture(scope="module")
def numbers(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "sync_distance")


def pair(numbers: Any, case: str) -> tuple[Tensor, Tensor]:
    """Embeddings of lips and speech of a case, ``(T, 1024)`` twice, as SPEC section 4 describes them."""
    base, noise = normal(numbers, "sync.video", (100, 1024)), normal(numbers, "sync.noise", (60, 1024))
    lips = base[20:80]
    match case:
        case "random":
            return normal(numbers, "sync.rand.v", (60, 1024)), normal(numbers, "sync.rand.a", (60, 1024))
        case "sync0":
            return lips, lips + 0.5 * noise
        case "audio_leads_3" | "vshift10":
            return lips, base[23:83] + 0.5 * noise
        case "audio_lags_2":
            return lips, base[18:78] + 0.5 * noise
        case "short_T8":
            return lips[:8], (lips + 0.5 * noise)[:8]
        case "scaled_like_real":
            lips, speech = (normal(numbers, f"sync.real.{name}", (60, 1024)) for name in "va")
            return 0.2 * (5.0 + 0.3 * lips), 0.2 * (5.0 + 0.3 * speech)
    steps = normal(numbers, "sync.ar", (100, 1024))
    walk = steps.clone()
    for t in range(1, 100):  # as the oracle rounds it: the decay in float32, the sum in float64
        walk[t] = (0.9 * walk[t - 1]).double() + 0.19**0.5 * steps[t].double()
    return walk[20:80], walk[21:81] + 0.7 * noise


def assert_near(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    difference = (ours - theirs).abs().max().item() / theirs.abs().max().item()
    print(f"{name}: relative difference {difference:.2g}")
    assert difference < tolerance


@pytest.mark.parametrize("case", CASES)
def test_official_distances(numbers: Any, case: str) -> None:
    wanted = numbers.json("sync_distance.json")[case]
    found = lip_sync(*pair(numbers, case), shifts=wanted["vshift"])
    assert_near("distances", found.distances, numbers[f"{case}/dists"], FLOAT32)
    assert_near("m(k)", found.mean, numbers[f"{case}/mdist_f64"], FLOAT64)
    assert found.best == wanted["minidx"]
    assert found.offset == wanted["offset"]
    assert found.distance == pytest.approx(wanted["LSE_D_f64"], rel=FLOAT64)
    assert found.confidence == pytest.approx(wanted["LSE_C_f64"], rel=FLOAT64)
    assert found.distance == pytest.approx(wanted["LSE_D"], rel=FLOAT32)
    assert found.confidence == pytest.approx(wanted["LSE_C"], rel=FLOAT32, abs=FLOAT32)
    assert_near("distances at the best shift", found.best_distances, numbers[f"{case}/fdist"], FLOAT32)
    assert_near("confidence of windows", found.confidences, numbers[f"{case}/fconf"], FLOAT32)
    assert_near("smoothed", found.smooth_confidences, numbers[f"{case}/fconfm"], FLOAT32)


@pytest.mark.parametrize("case", CASES)
def test_without_padding(numbers: Any, case: str) -> None:
    wanted = numbers.json("sync_distance.json")[case]
    found = lip_sync(*pair(numbers, case), shifts=wanted["vshift"], valid_only=True)
    theirs = numbers[f"{case}/mdist_valid_only_f64"]
    assert torch.equal(found.mean.isnan(), theirs.isnan())
    assert found.mean.nan_to_num().sub(theirs.nan_to_num()).abs().max() < FLOAT64
    valid = wanted["valid_only"]
    assert found.offset == valid["offset"]
    assert found.distance == pytest.approx(valid["LSE_D"], rel=FLOAT64, nan_ok=True)
    assert found.confidence == pytest.approx(valid["LSE_C"], abs=FLOAT64, nan_ok=True)
