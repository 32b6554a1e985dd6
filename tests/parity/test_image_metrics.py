"""Every convention of PSNR and SSIM in the oracle, recomputed with our functions: ours, and those that ours is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkingface.metrics import FrameMetric, LumaPSNR, LumaSSIM, PooledPSNR, UniformSSIM
from talkingface.metrics.functional import psnr, ssim
from talkingface.metrics.functional.pixels import PEAK, decibels, squared_error
from talkingface.metrics.functional.similarity import UNIFORM7, WANG, Window, ssim_luma, ssim_map

DISTORTIONS = {"b": "b_noise", "c": "c_shift1px"}
EXACT, SINGLE = 1e-9, 5e-6  # of implementations in float64 and in float32


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    return squared_error(prediction, target) / target[0].numel()


def wrapped(prediction: Tensor, target: Tensor) -> Tensor:
    """The inherited bug: difference and square in uint8 wrap modulo 256."""
    return decibels((prediction - target).square().double().mean(dim=(1, 2, 3)))


def reflected(window: Window, low: float = 0.0, peak: float = PEAK) -> Callable[[Tensor, Tensor], Tensor]:
    """As torchmetrics averages: also over windows that reach into reflected borders."""

    def measure(prediction: Tensor, target: Tensor) -> Tensor:
        reach = len(window.taps) // 2
        ours, theirs = (
            functional.pad(low + frames.double() * (peak / PEAK), (reach,) * 4, mode="reflect")
            for frames in (prediction, target)
        )
        return torch.stack([ssim_map(*pair, window, peak).mean() for pair in zip(ours, theirs, strict=True)])

    return measure


CONVENTIONS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "mse": (mse, EXACT),
    "psnr_per_frame": (psnr, EXACT),
    "psnr_mean_of_frames": (lambda p, t: psnr(p, t).mean(), EXACT),
    "psnr_pooled": (lambda p, t: PooledPSNR()(p, t), EXACT),
    "psnr_torchmetrics_default_batch(pooled)": (lambda p, t: PooledPSNR()(p, t), SINGLE),
    "psnr_torchmetrics_dim123_mean": (lambda p, t: psnr(p, t).mean(), SINGLE),
    "psnr_Y601_mean": (lambda p, t: LumaPSNR()(p, t), EXACT),
    "psnr_uint8_wrap_bug": (wrapped, EXACT),
    "psnr_piq": (lambda p, t: -10 * torch.log10(mse(p, t) / PEAK**2 + 1e-8), SINGLE),  # its 1e-8 caps at 80 dB
    "ssim_wang2004_valid_independent": (ssim, EXACT),
    "ssim_skimage_gauss11_popcov": (ssim, EXACT),
    "ssim_piq": (ssim, EXACT),
    "ssim_pytorch_msssim": (ssim, SINGLE),
    "ssim_skimage_default_uniform7_samplecov": (lambda p, t: ssim(p, t, UNIFORM7), EXACT),
    "ssim_skimage_gauss11_samplecov": (lambda p, t: ssim(p, t, Window(WANG.taps, sample=True)), EXACT),
    "ssim_skimage_Y_gauss": (ssim_luma, EXACT),
    "ssim_torchmetrics_default": (reflected(WANG), SINGLE),
    "ssim_torchmetrics_data_range_None": (reflected(WANG), SINGLE),
    "ssim_torchmetrics_uniform7": (reflected(Window(UNIFORM7.taps)), SINGLE),
    "ssim_torchmetrics_input_-1_1_range_2": (reflected(WANG, -1.0, 2.0), SINGLE),
}
NOT_OURS = ("psnr_uint8_wrap_bug", "psnr_piq", "ssim_skimage_gauss11_samplecov", *list(CONVENTIONS)[-4:])


@pytest.fixture(scope="module")
def images(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "psnr_ssim_images")


def pair(images: Any, name: str) -> tuple[Tensor, Tensor]:
    prediction, target = (images[key].permute(0, 3, 1, 2) for key in (name, "a"))
    return prediction, target


def expected(images: Any, name: str, convention: str) -> Tensor:
    value = torch.tensor(images.json("psnr_ssim.json")[DISTORTIONS[name]][convention], dtype=torch.float64)
    if value.ndim == 0 and len(images["a"]) < 3:
        pytest.skip("the shipped copy has one frame of three; a mean over three needs the reference folder")
    return value[: len(images["a"])] if value.ndim else value


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_each_convention_gives_its_own_number(
    images: Any, name: str, convention: str, record_property: Callable[[str, object], None]
) -> None:
    measure, tolerance = CONVENTIONS[convention]
    wanted = expected(images, name, convention)
    difference = (measure(*pair(images, name)) - wanted).abs().max().item()
    record_property("difference", difference)
    print(f"{convention} [{name}]: {difference:.1e}")
    assert difference <= tolerance


def test_no_convention_of_the_oracle_is_left_out(images: Any) -> None:
    for distortion in DISTORTIONS.values():
        assert set(images.json("psnr_ssim.json")[distortion]) == set(CONVENTIONS)


@pytest.mark.parametrize("convention", NOT_OURS)
def test_our_metrics_are_none_of_the_other_conventions(images: Any, convention: str) -> None:
    ours = psnr if convention.startswith("psnr") else ssim
    for name in DISTORTIONS:
        assert ((ours(*pair(images, name)) - expected(images, name, convention)).abs() > 1e-5).any()


@pytest.mark.parametrize(
    ("metric", "convention"),
    [(UniformSSIM, "ssim_skimage_default_uniform7_samplecov"), (LumaSSIM, "ssim_skimage_Y_gauss")],
)
def test_a_variant_s_class_is_the_mean_of_its_frames(images: Any, metric: type[FrameMetric], convention: str) -> None:
    wanted = expected(images, "b", convention).mean().item()
    assert metric()(*pair(images, "b")).item() == pytest.approx(wanted, abs=EXACT)
