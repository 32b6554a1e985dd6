import math

import pytest
import torch
from torch import Tensor

from talkingface import registry
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import (
    EyesError,
    EyesPSNR,
    EyesSSIM,
    MouthError,
    MouthPSNR,
    MouthSSIM,
    RestError,
    RestPSNR,
    ScoredClip,
    Track,
    psnr,
)
from talkingface.metrics.functional.similarity import ssim_map
from talkingface.metrics.regions import MARGIN, region_mask

METRICS = [MouthPSNR, EyesPSNR, RestPSNR, MouthError, EyesError, RestError, MouthSSIM, EyesSSIM]
MOUTH_SPOT, EYE_SPOT, CHEEK = (70, 48), (40, 34), (58, 10)  # row, column


def face(frames: int = 2) -> Tensor:
    """Landmarks of a 96 px frame: outer eye corners 30 px apart, the mouth 16×6 px about (48, 70)."""
    points = torch.full((68, 2), 48.0)
    points[48:68, 0] = torch.linspace(40, 56, 20)
    points[48:68, 1] = torch.linspace(67, 73, 20)
    points[36:42, 0] = torch.linspace(33, 41, 6)
    points[42:48, 0] = torch.tensor([55.0, 57, 59, 63, 59, 57])
    points[36:48, 1] = 40
    return points.expand(frames, 68, 2).clone()


def clip(seed: int, frames: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(20, 230, (frames, 3, 96, 96), dtype=torch.uint8, generator=generator)


def spotted(frames: Tensor, spot: tuple[int, int], amount: int = 25) -> Tensor:
    """The same frames with an error at one place of 3×3 pixels."""
    row, column = spot
    other = frames.clone()
    other[..., row - 1 : row + 2, column - 1 : column + 2] += amount
    return other


def noisy(frames: Tensor, amount: int) -> Tensor:
    noise = torch.randint(-amount, amount + 1, frames.shape, generator=torch.Generator().manual_seed(5))
    return (frames.int() + noise).clamp(0, 255).to(torch.uint8)


def scored(metric, prediction: Tensor, target: Tensor, landmarks: Tensor) -> float:
    return float(metric()(prediction, target, landmarks))


def test_regions_are_boxes_widened_by_a_share_of_the_eyes_distance() -> None:
    mouth = region_mask(face(1), 96, 96, "mouth")[0]
    rows, columns = mouth.any(1).nonzero().flatten(), mouth.any(0).nonzero().flatten()
    margin = MARGIN * 30
    assert (rows[0], rows[-1]) == (math.ceil(67 - margin), math.floor(73 + margin))
    assert (columns[0], columns[-1]) == (math.ceil(40 - margin), math.floor(56 + margin))
    eyes = region_mask(face(1), 96, 96, "eyes")[0]
    assert eyes[40, 34]
    assert eyes[40, 60]
    assert not eyes[40, 48]  # between them


def test_regions_share_no_pixel_and_leave_none() -> None:
    masks = torch.stack([region_mask(face(2), 96, 96, region) for region in ("mouth", "eyes", "rest")])
    assert torch.equal(masks.sum(0), torch.ones(2, 96, 96, dtype=torch.long))


@pytest.mark.parametrize(("spot", "hurt"), [(MOUTH_SPOT, "Mouth"), (EYE_SPOT, "Eyes"), (CHEEK, "Rest")])
def test_an_error_is_seen_in_its_region_alone(spot: tuple[int, int], hurt: str) -> None:
    target = clip(0)
    for metric in METRICS:
        value = scored(metric, spotted(target, spot), target, face())
        best = scored(metric, target, target, face())
        assert (value != best) == metric.__name__.startswith(hurt)


def test_the_whole_frame_hardly_sees_the_mouth() -> None:
    target = clip(1)
    wrong = spotted(target, MOUTH_SPOT)
    assert psnr(wrong, target).mean() - scored(MouthPSNR, wrong, target, face()) > 10


@pytest.mark.parametrize("metric", METRICS)
def test_identical_files_are_best_and_noise_is_worse(metric) -> None:
    target = clip(2)
    values = [scored(metric, noisy(target, amount), target, face()) for amount in (0, 3, 12, 48)]
    assert values[0] == pytest.approx(metric.range[1] if metric.higher_is_better else metric.range[0])
    assert values == sorted(values, reverse=metric.higher_is_better)
    assert len(set(values)) == 4


def test_identical_regions_are_counted() -> None:
    target, metric = clip(3), RestPSNR()
    metric.update(spotted(target, MOUTH_SPOT), target, face())
    assert metric.identical == 2


def test_errors_of_the_regions_add_up_to_that_of_the_frame() -> None:
    target = clip(4, frames=1)
    prediction = noisy(target, 30)
    total = 0.0
    for metric, region in ((MouthError, "mouth"), (EyesError, "eyes"), (RestError, "rest")):
        share = region_mask(face(1), 96, 96, region).double().mean().item()
        total += share * scored(metric, prediction, target, face(1))
    assert total == pytest.approx((prediction.double() - target.double()).abs().mean().item(), abs=1e-10)


def test_ssim_of_a_region_is_the_mean_of_the_map_there() -> None:
    target = clip(5, frames=1)
    prediction = noisy(target, 30)
    whole = ssim_map(prediction[0].double(), target[0].double())
    for metric, region in ((MouthSSIM, "mouth"), (EyesSSIM, "eyes")):
        centres = region_mask(face(1), 96, 96, region)[0, 5:-5, 5:-5]
        assert scored(metric, prediction, target, face(1)) == pytest.approx(whole[:, centres].mean().item(), abs=1e-12)
    assert abs(scored(MouthSSIM, prediction, target, face(1)) - whole.mean().item()) > 1e-4


@pytest.mark.parametrize("metric", METRICS)
def test_a_region_moves_with_the_face(metric) -> None:
    target = clip(6)
    prediction = noisy(target, 20)
    moved = [frames.roll((3, 4), dims=(2, 3)) for frames in (prediction, target)]
    landmarks = face() + torch.tensor([4.0, 3.0])
    assert scored(metric, *moved, landmarks) == pytest.approx(scored(metric, prediction, target, face()), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_frames_whose_target_has_no_face_are_left_out(metric) -> None:
    target = clip(7, frames=3)
    prediction = torch.cat([noisy(target[:2], 10), noisy(target[2:], 90)])
    landmarks = face(3)
    landmarks[2] = math.nan
    without = scored(metric, prediction, target, landmarks)
    assert without == scored(metric, prediction[:2], target[:2], face())
    assert without != scored(metric, prediction, target, face(3))


@pytest.mark.parametrize("metric", METRICS)
def test_a_clip_without_any_face_is_a_reason(metric) -> None:
    target = clip(8)
    with pytest.raises(UnscorableError, match="no face in its target"):
        metric()(target, target, torch.full((2, 68, 2), math.nan))
    if metric.region != "rest":
        with pytest.raises(UnscorableError, match=f"whose {metric.region} could be scored"):
            metric()(target, target, face() + 500.0)


def test_a_region_at_the_edge_is_scored_where_it_is_inside() -> None:
    target = clip(9)
    prediction = noisy(target, 20)
    landmarks = face() + torch.tensor([0.0, 22.0])  # the mouth's box ends below the frame
    assert 10 < scored(MouthPSNR, prediction, target, landmarks) < 40
    assert 0 < scored(MouthSSIM, prediction, target, landmarks) < 1


@pytest.mark.parametrize("metric", METRICS)
def test_long_clips_weigh_no_more_and_order_does_not_matter(metric) -> None:
    clips = [
        (noisy(clip(seed, frames), 8 * frames), clip(seed, frames), face(frames)) for seed, frames in ((1, 1), (2, 4))
    ]
    there, back = metric(), metric()
    for one, other in zip(clips, reversed(clips), strict=True):
        there.update(*one)
        back.update(*other)
    each = [scored(metric, *one) for one in clips]
    assert there.compute().item() == pytest.approx(sum(each) / 2, abs=1e-12)
    assert back.compute().item() == pytest.approx(there.compute().item(), abs=1e-12)


def test_a_clip_of_an_evaluator_is_scored_with_known_landmarks() -> None:
    target = clip(10)
    scored_clip = ScoredClip("a", Track(noisy(target, 9), {}), Track(target, {}, {"landmarks": face()}))
    score = MouthPSNR().update_clip(scored_clip)
    assert (score.lost, score.total) == (0, 2)
    assert 30 < score.value < 50
    with pytest.raises(UnscorableError, match="has no landmarks"):
        MouthPSNR().update_clip(ScoredClip.of(ClipPrediction("a", video=target, target=target)))
    with pytest.raises(ShapeError, match=r"landmarks has shape \(1, 68, 2\)"):
        MouthPSNR()(target, target, face(1))


def test_every_region_says_what_it_is() -> None:
    assert len({metric.convention for metric in METRICS}) == len(METRICS)
    names = [f"{kind}-{region}" for kind in ("psnr", "mae") for region in ("mouth", "eyes", "rest")]
    assert [registry.load("metric", name) for name in [*names, "ssim-mouth", "ssim-eyes"]] == METRICS
