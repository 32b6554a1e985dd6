import math

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import PSNR, SSIM, ClipMetric, PooledPSNR, ScoredClip, psnr, ssim, to_pixels

METRICS = [PSNR, PooledPSNR, SSIM]


def random_clip(seed: int, frames: int = 3, height: int = 24, width: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, 3, height, width), dtype=torch.uint8, generator=generator)


def noisy(clip: Tensor, amount: int, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(-amount, amount + 1, clip.shape, generator=generator)
    return (clip.int() + noise).clamp(0, 255).to(torch.uint8)


def slow_ssim(prediction: Tensor, target: Tensor) -> float:
    """The formula of the paper, window by window."""
    axis = torch.arange(11.0, dtype=torch.float64) - 5
    weights = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for x_map, y_map in zip(prediction.double(), target.double(), strict=True):
        for top in range(x_map.shape[0] - 10):
            for left in range(x_map.shape[1] - 10):
                x = x_map[top : top + 11, left : left + 11]
                y = y_map[top : top + 11, left : left + 11]
                mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
                var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
                covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
                top_part = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
                values.append(top_part / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return float(torch.stack(values).mean())


def test_psnr_of_a_known_error() -> None:
    target = torch.full((2, 3, 12, 12), 100, dtype=torch.uint8)
    prediction = target.clone()
    prediction[1] += 5
    prediction[0] -= 50
    expected = [10 * math.log10(255**2 / 50**2), 10 * math.log10(255**2 / 5**2)]
    assert psnr(prediction, target).tolist() == pytest.approx(expected, abs=1e-12)


def test_psnr_of_black_against_white_is_zero_not_wrapped() -> None:
    black = torch.zeros(1, 3, 12, 12, dtype=torch.uint8)
    white = black + 255
    assert psnr(black, white).item() == 0.0
    assert (black - white).max() == 1  # the control: in uint8 the difference of 255 wraps to 1, that is 48 dB


def test_identical_frames_are_capped_and_counted() -> None:
    clip = random_clip(0, frames=4)
    other = clip.clone()
    other[0] = 255 - other[0]
    metric = PSNR()
    metric.update(other, clip)
    assert psnr(other, clip)[1:].tolist() == [100.0] * 3
    assert metric.identical == 3
    assert torch.isfinite(metric.compute())


def test_ssim_equals_the_paper_window_by_window() -> None:
    target = random_clip(1, frames=1, height=14, width=13)
    prediction = noisy(target, 40)
    assert ssim(prediction, target).item() == pytest.approx(slow_ssim(prediction[0], target[0]), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_perfect_prediction_scores_best(metric: type[ClipMetric]) -> None:
    clip = random_clip(2)
    best = metric()(clip, clip).item()
    assert best == metric.range[1]
    assert metric()(noisy(clip, 2), clip).item() < best


@pytest.mark.parametrize("metric", METRICS)
def test_more_noise_scores_worse(metric: type[ClipMetric]) -> None:
    clip = random_clip(3)
    scores = [metric()(noisy(clip, amount), clip).item() for amount in (1, 4, 16, 64)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


@pytest.mark.parametrize("metric", METRICS)
def test_both_sides_may_be_swapped(metric: type[ClipMetric]) -> None:
    clip, other = random_clip(4), random_clip(5)
    assert metric()(clip, other) == metric()(other, clip)


@pytest.mark.parametrize("metric", METRICS)
def test_order_and_batching_of_clips_change_nothing(metric: type[ClipMetric]) -> None:
    targets = torch.stack([random_clip(seed) for seed in range(4)])
    predictions = torch.stack([noisy(clip, 5 * (i + 1)) for i, clip in enumerate(targets)])
    at_once, one_by_one = metric(), metric()
    at_once.update(predictions, targets)
    for i in (2, 0, 3, 1):
        one_by_one.update(predictions[i], targets[i])
    torch.testing.assert_close(at_once.compute(), one_by_one.compute(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("metric", [PSNR, SSIM])
def test_a_long_clip_weighs_no_more_than_a_short_one(metric: type[ClipMetric]) -> None:
    short, long = random_clip(6, frames=1), random_clip(7, frames=9)
    both = metric()
    both.update(noisy(short, 3), short)
    both.update(noisy(long, 60), long)
    each = [metric()(noisy(short, 3), short), metric()(noisy(long, 60), long)]
    torch.testing.assert_close(both.compute(), torch.stack(each).mean(), atol=1e-12, rtol=0)
    frames = metric()(torch.cat([noisy(short, 3), noisy(long, 60)]), torch.cat([short, long]))
    assert abs(frames - both.compute()) > 1e-3  # the control: the mean over all frames is another number


def test_pooled_psnr_never_exceeds_the_mean_over_frames() -> None:
    clip = random_clip(8, frames=2)
    uneven = torch.cat([noisy(clip[:1], 2), noisy(clip[1:], 80)])
    assert PooledPSNR()(uneven, clip) < PSNR()(uneven, clip) - 1.0
    even = (clip // 2, clip // 2 + 3)
    assert PooledPSNR()(*even) == pytest.approx(PSNR()(*even).item(), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_clip_gives_nan_not_zero(metric: type[ClipMetric]) -> None:
    assert torch.isnan(metric().compute())


@pytest.mark.parametrize("metric", METRICS)
def test_reset_forgets(metric: type[ClipMetric]) -> None:
    clip = random_clip(9)
    used = metric()
    used.update(noisy(clip, 90), clip)
    used.reset()
    used.update(clip, clip)
    assert used.compute().item() == metric.range[1]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_says_what_it_is(metric: type[ClipMetric]) -> None:
    assert metric.higher_is_better is True
    assert metric.needs == ("video", "target")
    assert metric.range[0] < metric.range[1]
    assert metric.citation
    assert "/" in metric.convention


def test_conventions_are_told_apart() -> None:
    assert len({metric.convention for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_a_clip_prediction_can_be_scored(metric: type[ClipMetric]) -> None:
    target = random_clip(10)
    fed = metric()
    score = fed.update_clip(ScoredClip.of(ClipPrediction("clip", video=noisy(target, 9), target=target)))
    assert (score.lost, score.total) == (0, len(target))
    assert score.value == pytest.approx(float(fed.compute()))
    assert fed.compute() == metric()(noisy(target, 9), target)


def test_a_clip_without_target_is_named() -> None:
    with pytest.raises(UnscorableError, match="has no target"):
        PSNR().update_clip(ScoredClip.of(ClipPrediction("anna_3", video=random_clip(0))))


@pytest.mark.parametrize("function", [psnr, ssim])
@pytest.mark.parametrize("side", ["prediction", "target"])
def test_float_images_are_refused_with_the_way_to_convert(function, side: str) -> None:
    clip = random_clip(11)
    sides = {"prediction": clip, "target": clip, side: clip.float() / 127.5 - 1}
    with pytest.raises(ShapeError, match=rf"{side} is torch\.float32, expected uint8 .*to_pixels"):
        function(**sides)


@pytest.mark.parametrize("function", [psnr, ssim])
def test_two_shapes_are_refused(function) -> None:
    clip = random_clip(12, frames=3)
    with pytest.raises(ShapeError, match=r"\(2, 3, 24, 20\) and target \(3, 3, 24, 20\)"):
        function(clip[:2], clip)


@pytest.mark.parametrize("function", [psnr, ssim])
def test_channels_last_and_empty_clips_are_refused(function) -> None:
    clip = random_clip(13)
    with pytest.raises(ShapeError, match=r"expected \(T, 3, H, W\)"):
        function(clip.movedim(1, -1), clip.movedim(1, -1))
    with pytest.raises(ShapeError, match="no pixels"):
        function(clip[:0], clip[:0])


@pytest.mark.parametrize("metric", METRICS)
def test_an_empty_batch_of_clips_is_refused(metric: type[ClipMetric]) -> None:
    batch = random_clip(14)[None]
    with pytest.raises(ShapeError, match="no clips"):
        metric().update(batch[:0], batch[:0])
    with pytest.raises(ShapeError, match="target has shape"):
        metric().update(batch, batch[0])


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    clip = random_clip(15, height=10)
    with pytest.raises(UnscorableError, match="at least 11 pixels a side, got 10×20"):
        ssim(clip, clip)
    assert ssim(random_clip(15, height=11), random_clip(15, height=11)).shape == (3,)


def test_pixels_survive_the_way_through_float() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(to_pixels(values.float() / 127.5 - 1), values)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((1, 3, 4, 4), 200.0), r"faces lies in \[200, 200\], expected \[-1, 1\]"),
        (torch.full((1, 3, 4, 4), -1.2), "Clamp a rendered image"),
        (torch.full((1, 3, 4, 4), math.nan), "faces has 48 values that are NaN or infinite"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), r"faces is torch\.uint8, expected float"),
        (torch.zeros(1, 4, 4, 3), r"faces has shape \(1, 4, 4, 3\)"),
    ],
)
def test_images_out_of_contract_are_refused(images: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        to_pixels(images, "faces")
