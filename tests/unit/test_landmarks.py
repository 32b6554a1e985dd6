import pytest
import torch

from talkingface import metrics
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.metrics.functional import landmarks as functional

DISTANCES = [
    metrics.FaceLMD,
    metrics.MouthLMD,
    metrics.CentredMouthLMD,
    metrics.SummedMouthLMD,
    metrics.AlignedFaceLMD,
    metrics.AlignedMouthLMD,
    metrics.RelativeFaceLMD,
    metrics.RelativeMouthLMD,
    metrics.AKD,
]


def faces(frames: int = 6, seed: int = 0) -> torch.Tensor:
    """Points without a symmetry, about 100 pixels wide."""
    return torch.rand(frames, 68, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 100


def rotated(points: torch.Tensor, degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    turn = torch.stack((torch.stack((angle.cos(), -angle.sin())), torch.stack((angle.sin(), angle.cos()))))
    return points @ turn.T


@pytest.mark.parametrize("metric", DISTANCES)
def test_a_face_is_at_no_distance_from_itself(metric):
    assert metric()(faces(), faces()).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", DISTANCES)
def test_more_noise_is_a_larger_distance(metric):
    noise = torch.randn(6, 68, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = [metric()(faces() + scale * noise, faces()).item() for scale in (0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values)
    assert values[0] > 0


@pytest.mark.parametrize("metric", [metrics.CentredMouthLMD, metrics.SummedMouthLMD, metrics.AlignedMouthLMD])
def test_a_shifted_head_does_not_count_where_the_centre_is_taken_out(metric):
    assert metric()(faces() + 7, faces()).item() == pytest.approx(0, abs=1e-9)
    assert metrics.MouthLMD()(faces() + 7, faces()).item() == pytest.approx(7 * 2**0.5)  # the control


@pytest.mark.parametrize("metric", [metrics.AlignedFaceLMD, metrics.AlignedMouthLMD])
def test_turn_size_and_shift_do_not_count_after_alignment(metric):
    moved = 1.3 * rotated(faces(), 25) + torch.tensor([4.0, -9.0])
    assert metric()(moved, faces()).item() == pytest.approx(0, abs=1e-9)
    assert metrics.CentredMouthLMD()(moved, faces()).item() > 5  # the control


def test_alignment_never_takes_a_mirror_image():
    mirrored = faces() * torch.tensor([-1.0, 1.0])
    assert metrics.AlignedFaceLMD()(mirrored, faces()).item() > 10


def test_alignment_is_the_best_of_all_similarities():
    source, target = faces(1), faces(1, seed=5)
    best = (functional.procrustes(source, target) - target).square().sum()
    for degrees, scale, shift in ((3.0, 1.0, 0.0), (0.0, 1.05, 0.0), (0.0, 1.0, 1.0)):
        aligned = functional.procrustes(source, target)
        centre = aligned.mean(1, keepdim=True)
        other = scale * rotated(aligned - centre, degrees) + centre + shift
        assert (other - target).square().sum() > best


@pytest.mark.parametrize("metric", [metrics.RelativeFaceLMD, metrics.RelativeMouthLMD])
def test_the_size_of_the_picture_does_not_count_in_relative_distances(metric):
    prediction = faces() + 1
    assert metric()(2 * prediction, 2 * faces()).item() == pytest.approx(metric()(prediction, faces()).item())


def test_the_size_of_the_picture_counts_in_pixels():
    prediction = faces() + 1
    double = metrics.FaceLMD()(2 * prediction, 2 * faces()).item()
    assert double == pytest.approx(2 * metrics.FaceLMD()(prediction, faces()).item())


def test_akd_is_the_mean_over_coordinates_not_a_length():
    assert metrics.AKD()(faces() + torch.tensor([3.0, 4.0]), faces()).item() == pytest.approx(3.5)
    assert metrics.FaceLMD()(faces() + torch.tensor([3.0, 4.0]), faces()).item() == pytest.approx(5.0)


def test_the_summed_distance_is_twenty_means():
    prediction = faces(seed=3)
    ratio = metrics.SummedMouthLMD()(prediction, faces()) / metrics.CentredMouthLMD()(prediction, faces())
    assert ratio.item() == pytest.approx(20)


def clip(prediction: torch.Tensor, target: torch.Tensor) -> metrics.ScoredClip:
    blank = torch.zeros(len(prediction), 3, 8, 8, dtype=torch.uint8)
    return metrics.ScoredClip(
        "clip",
        metrics.Track(blank, {}, {"landmarks": prediction}),
        metrics.Track(blank, {}, {"landmarks": target}),
    )


def test_a_face_that_the_prediction_lacks_is_listed_as_lost():
    prediction = faces() + torch.tensor([3.0, 4.0])
    prediction[[1, 4]] = torch.nan
    score = metrics.FaceLMD().update_clip(clip(prediction, faces()))
    assert (score.lost, score.total) == (2, 6)
    assert score.value == pytest.approx(5.0)


def test_frames_without_a_face_in_the_target_are_left_out():
    target = faces()
    target[:2] = torch.nan
    score = metrics.FaceLMD().update_clip(clip(faces() + torch.tensor([3.0, 4.0]), target))
    assert (score.lost, score.total) == (0, 4)
    assert score.value == pytest.approx(5.0)


def test_a_target_without_any_face_cannot_be_scored():
    with pytest.raises(UnscorableError, match="no face in its target"):
        metrics.FaceLMD().update_clip(clip(faces(), torch.full((6, 68, 2), torch.nan)))


def test_a_clip_without_any_predicted_face_has_no_distance():
    metric = metrics.FaceLMD()
    score = metric.update_clip(clip(torch.full((6, 68, 2), torch.nan), faces()))
    assert score.value != score.value
    assert score.lost == 6
    assert metric.clips == 0


def test_missing_faces_are_counted_only_where_the_target_has_one():
    prediction, target = faces(), faces()
    prediction[:3] = torch.nan
    target[2:4] = torch.nan
    score = metrics.MissingFaces().update_clip(clip(prediction, target))
    assert score.value == pytest.approx(2 / 4)
    assert score.lost == 0


def test_landmarks_of_two_lengths_are_refused():
    with pytest.raises(ShapeError, match="target"):
        metrics.FaceLMD()(faces(5), faces(6))


def test_other_sets_of_points_are_refused():
    with pytest.raises(ShapeError, match="prediction"):
        metrics.FaceLMD()(torch.zeros(5, 5, 2), torch.zeros(5, 5, 2))


@pytest.mark.parametrize("metric", [*DISTANCES, metrics.MissingFaces])
def test_a_long_clip_weighs_no_more_than_a_short_one(metric):
    both, long, short = metric(), metric(), metric()
    a, b = faces(40) + 1, faces(2) * 1.1
    a[0] = torch.nan
    for one, scores in ((a, (both, long)), (b, (both, short))):
        for score in scores:
            score.update(one, faces(len(one)))
    assert both.compute().item() == pytest.approx((long.compute() + short.compute()).item() / 2)


def test_a_metric_that_saw_nothing_is_nan():
    assert metrics.FaceLMD().compute().isnan()
