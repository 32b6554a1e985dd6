"""PSNR and SSIM against the numbers of scikit-image, piq, torchmetrics and an independent float64 implementation.

The whole oracle lies in the reference folder (``TALKINGFACE_REFERENCE``); its first frame ships beside this file, so
that the suite proves something everywhere.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.metrics import PSNR, SSIM, PooledPSNR, psnr, ssim

SHIPPED = Path(__file__).parent / "data"
REFERENCE = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
WHOLE = REFERENCE / "metrics" / "oracles"
DISTORTIONS = {"b": "b_noise", "c": "c_shift1px"}


class Oracle:
    """Images ``a`` (target), ``b`` and ``c`` (distorted), uint8 ``(T, 3, H, W)``, and the numbers per frame."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "psnr_ssim_images.npz", allow_pickle=False) as images:
            self.frames = {name: torch.from_numpy(images[name]).permute(0, 3, 1, 2) for name in images.files}
        self.numbers: dict[str, dict[str, Any]] = json.loads((folder / "psnr_ssim.json").read_text())

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.frames[name], self.frames["a"]

    def expected(self, name: str, convention: str) -> Tensor:
        value = torch.tensor(self.numbers[DISTORTIONS[name]][convention], dtype=torch.float64)
        return value[: len(self.frames["a"])] if value.ndim else value


@pytest.fixture(scope="module", params=["shipped", "whole"])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    folder = SHIPPED if request.param == "shipped" else WHOLE
    if not (folder / "psnr_ssim.json").is_file():
        pytest.skip(f"no psnr_ssim.json in {folder}; set TALKINGFACE_REFERENCE to the reference folder")
    return Oracle(folder)


@pytest.fixture(scope="module")
def whole() -> Oracle:
    if not (WHOLE / "psnr_ssim.json").is_file():
        pytest.skip(f"no psnr_ssim.json in {WHOLE}; set TALKINGFACE_REFERENCE to the reference folder")
    return Oracle(WHOLE)


def assert_equal(found: Tensor, wanted: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_psnr_per_frame_is_the_published_number(oracle: Oracle, name: str) -> None:
    assert_equal(psnr(*oracle.pair(name)), oracle.expected(name, "psnr_per_frame"))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_psnr_is_not_the_number_of_the_uint8_bug(oracle: Oracle, name: str) -> None:
    buggy = oracle.expected(name, "psnr_uint8_wrap_bug")
    prediction, target = oracle.pair(name)
    squares = (prediction - target).square()  # as the inherited scripts do: difference and square wrap modulo 256
    wrapped = squares.double().mean(dim=(1, 2, 3))
    assert_equal(10 * torch.log10(255**2 / wrapped), buggy)
    assert ((psnr(prediction, target) - buggy).abs() > 1e-3).all()


@pytest.mark.parametrize("name", DISTORTIONS)
def test_psnr_of_a_clip_is_the_mean_of_its_frames(whole: Oracle, name: str) -> None:
    assert_equal(PSNR()(*whole.pair(name)), whole.expected(name, "psnr_mean_of_frames"))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_pooled_psnr_is_one_error_over_all_pixels(whole: Oracle, name: str) -> None:
    pooled = PooledPSNR()(*whole.pair(name))
    assert_equal(pooled, whole.expected(name, "psnr_pooled"))
    assert_equal(pooled, whole.expected(name, "psnr_torchmetrics_default_batch(pooled)"), tolerance=1e-5)


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("source", ["ssim_wang2004_valid_independent", "ssim_skimage_gauss11_popcov", "ssim_piq"])
def test_ssim_is_the_published_number(oracle: Oracle, name: str, source: str) -> None:
    assert_equal(ssim(*oracle.pair(name)), oracle.expected(name, source))


@pytest.mark.parametrize(
    "other",
    [
        "ssim_skimage_default_uniform7_samplecov",
        "ssim_skimage_gauss11_samplecov",
        "ssim_torchmetrics_default",
        "ssim_torchmetrics_input_-1_1_range_2",
        "ssim_skimage_Y_gauss",
    ],
)
def test_ssim_is_none_of_the_other_conventions(oracle: Oracle, other: str) -> None:
    found = ssim(*oracle.pair("c"))
    assert ((found - oracle.expected("c", other)).abs() > 1e-5).all()


def test_ssim_of_a_clip_is_the_mean_of_its_frames(whole: Oracle) -> None:
    expected = whole.expected("b", "ssim_wang2004_valid_independent").mean()
    assert_equal(SSIM()(*whole.pair("b")), expected)
