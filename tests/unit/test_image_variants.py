import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import LumaPSNR, LumaSSIM, MultiscaleSSIM, PooledPSNR, ScoredClip, UniformSSIM, psnr, ssim
from talkingface.metrics.functional.pixels import luma
from talkingface.metrics.functional.similarity import (
    SCALE_WEIGHTS,
    UNIFORM7,
    WANG,
    multiscale_ssim,
    ssim_luma,
    ssim_map,
)

VARIANTS = [LumaPSNR, LumaSSIM, UniformSSIM, MultiscaleSSIM]


def picture(seed: int, side: int = 176, frames: int = 2) -> Tensor:
    """Smooth blobs, so that all scales hold something."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(frames, 3, side // 8, side // 8, generator=generator)
    smooth = functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    return (smooth * 255).clamp(0, 255).to(torch.uint8)


def noisy(clip: Tensor, amount: int, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(-amount, amount + 1, clip.shape, generator=generator)
    return (clip.int() + noise).clamp(0, 255).to(torch.uint8)


def slow_multiscale(prediction: Tensor, target: Tensor) -> float:
    """The formula with two-dimensional filters and one plane at a time."""
    kernel = torch.outer(torch.tensor(WANG.taps, dtype=torch.float64), torch.tensor(WANG.taps, dtype=torch.float64))
    c1, c2 = 6.5025, 58.5225
    values = []
    for x, y in zip(prediction.double(), target.double(), strict=True):
        value = 1.0
        for scale, weight in enumerate(SCALE_WEIGHTS):
            stack = torch.stack([x, y, x * x, y * y, x * y])[:, None]
            mean_x, mean_y, xx, yy, xy = functional.conv2d(stack, kernel[None, None])[:, 0]
            structure = (2 * (xy - mean_x * mean_y) + c2) / (xx - mean_x**2 + yy - mean_y**2 + c2)
            luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
            term = (luminance * structure if scale == 4 else structure).mean().item()
            value *= max(term, 0.0) ** weight
            if scale < 4:
                x, y = ((z[0::2, 0::2] + z[1::2, 0::2] + z[0::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
        values.append(value)
    return sum(values) / len(values)


def test_multiscale_ssim_equals_the_formula_plane_by_plane() -> None:
    target = picture(0, side=176, frames=1)
    prediction = noisy(target, 60)
    found = multiscale_ssim(prediction, target).item()
    assert found == pytest.approx(slow_multiscale(prediction[0], target[0]), abs=1e-12)
    assert abs(found - ssim(prediction, target).item()) > 0.05  # the control: one scale is another number


def test_multiscale_ssim_needs_161_pixels() -> None:
    assert multiscale_ssim(picture(1, side=168)[..., :161, :161], picture(1, side=168)[..., :161, :161]).tolist() == [
        1,
        1,
    ]
    small = picture(1, side=160)
    with pytest.raises(UnscorableError, match="at least 161 pixels a side, got 160×160"):
        multiscale_ssim(small, small)


def test_opposite_pictures_have_no_negative_multiscale_ssim() -> None:
    clip = picture(2)
    assert multiscale_ssim(255 - clip, clip).tolist() == [0.0, 0.0]
    assert (ssim(255 - clip, clip) < 0).all()  # the control: at one scale they are negative


@pytest.mark.parametrize("metric", VARIANTS)
def test_a_variant_is_best_for_identical_files_and_falls_with_noise(metric) -> None:
    clip = picture(3)
    scores = [metric()(noisy(clip, amount), clip).item() for amount in (2, 8, 32, 90)]
    assert metric()(clip, clip).item() == pytest.approx(metric.range[1], abs=1e-12)
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


@pytest.mark.parametrize("metric", VARIANTS)
def test_a_variant_is_symmetric_and_does_not_depend_on_batches(metric) -> None:
    clips = [picture(seed) for seed in (4, 5)]
    others = [noisy(clip, 20 + 30 * i) for i, clip in enumerate(clips)]
    at_once, one_by_one, swapped = metric(), metric(), metric()
    at_once.update(torch.stack(others), torch.stack(clips))
    for other, clip in reversed(list(zip(others, clips, strict=True))):
        one_by_one.update(other, clip)
        swapped.update(clip, other)
    assert one_by_one.compute().item() == pytest.approx(at_once.compute().item(), abs=1e-12)
    assert swapped.compute().item() == pytest.approx(at_once.compute().item(), abs=1e-12)


@pytest.mark.parametrize("metric", VARIANTS)
def test_a_shift_by_one_pixel_scores_below_the_same_place(metric) -> None:
    clip = noisy(picture(6), 30)
    assert metric()(clip.roll(1, dims=-1), clip) < metric()(noisy(clip, 1), clip)


def test_luma_does_not_see_an_error_that_leaves_the_brightness() -> None:
    clip = torch.full((1, 3, 16, 16), 128, dtype=torch.uint8)
    tinted = clip.clone()
    tinted[:, 0] += 58  # 0.299 · 58 = 17.3 up, 0.587 · 29.5 down
    tinted[:, 1] -= 29
    tinted[:, 2] -= 3
    assert (luma(tinted) - luma(clip)).abs().max() < 0.1
    assert LumaPSNR()(tinted, clip) > 60
    assert psnr(tinted, clip) < 20


def test_luma_of_grey_is_rgb() -> None:
    grey = picture(7)[:, :1].expand(-1, 3, -1, -1).contiguous()
    other = noisy(grey[:, :1], 20).expand(-1, 3, -1, -1).contiguous()
    torch.testing.assert_close(ssim_luma(other, grey), ssim(other, grey), atol=1e-10, rtol=0)


def test_uniform_window_equals_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    clip = picture(8, frames=1)
    other = noisy(clip, 40)
    wanted = metrics.structural_similarity(other[0].numpy(), clip[0].numpy(), channel_axis=0, data_range=255)
    assert ssim(other, clip, UNIFORM7).item() == pytest.approx(wanted, abs=1e-12)
    assert abs(ssim(other, clip).item() - wanted) > 1e-3


def test_the_map_belongs_to_the_middle_of_its_windows() -> None:
    target = torch.full((1, 40, 40), 100.0, dtype=torch.float64)
    prediction = target.clone()
    prediction[0, 12, 25] = 255
    found = ssim_map(prediction, target)[0]
    assert found.shape == (30, 30)
    assert divmod(int(found.argmin()), 30) == (12 - 5, 25 - 5)


def test_identical_frames_are_counted_by_the_luma_too_and_pooled_error_is_capped() -> None:
    clip = picture(9)
    metric = LumaPSNR()
    metric.update(clip, clip)
    assert metric.identical == 2
    assert PooledPSNR()(clip, clip) == 100


def test_small_frames_are_a_reason_and_wrong_types_an_error() -> None:
    clip = picture(10, side=8)
    with pytest.raises(UnscorableError, match="at least 11 pixels a side, got 8×8"):
        LumaSSIM().update_clip(ScoredClip.of(ClipPrediction("small", video=clip, target=clip)))
    with pytest.raises(ShapeError, match=r"torch\.float32, expected uint8"):
        LumaPSNR()(clip.float(), clip.float())


def test_every_variant_names_its_own_convention() -> None:
    conventions = {metric.convention for metric in [*VARIANTS, PooledPSNR]}
    assert len(conventions) == len(VARIANTS) + 1
    assert all("/" in convention.split(":")[0] for convention in conventions)
