import pytest
import torch

from talkingface import metrics
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.metrics.functional import blink

EYE = torch.tensor([[0.0, 0.0], [10.0, -1.0], [20.0, -1.0], [30.0, 0.0], [20.0, 1.0], [10.0, 1.0]])


def faces(openness: list[float]) -> torch.Tensor:
    """Faces whose eyes are 30 wide and 30 times the given ratio high."""
    landmarks = torch.rand(len(openness), 68, 2, generator=torch.Generator().manual_seed(0))
    for row, ratio in zip(landmarks, openness, strict=True):
        eye = EYE * torch.tensor([1.0, 15.0 * ratio])
        row[36:42], row[42:48] = eye, eye + 50
    return landmarks


def test_the_aspect_ratio_is_height_over_width():
    assert blink.eye_aspect_ratio(faces([0.3, 0.1])).tolist() == pytest.approx([0.3, 0.1])


def test_the_aspect_ratio_is_the_mean_of_both_eyes():
    landmarks = faces([0.3])
    landmarks[0, 42:48] = EYE * torch.tensor([1.0, 0.0])
    assert blink.eye_aspect_ratio(landmarks).item() == pytest.approx(0.15)


def test_size_and_turn_of_the_face_do_not_count():
    angle = torch.tensor(0.4)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    assert blink.eye_aspect_ratio(3 * faces([0.3]) @ turn.T + 40).item() == pytest.approx(0.3, abs=1e-5)


OPEN, SHUT = 0.3, 0.05
TWO_BLINKS = [OPEN] * 10 + [SHUT] * 3 + [OPEN] * 20 + [SHUT] * 2 + [OPEN] * 15  # 50 frames, 2 seconds


def test_blinks_are_counted_by_the_minute():
    assert metrics.BlinkRate()(faces(TWO_BLINKS), 25.0).item() == pytest.approx(60)


def test_a_blink_lasts_as_long_as_the_eye_is_closed():
    assert metrics.BlinkDuration()(faces(TWO_BLINKS), 25.0).item() == pytest.approx(2.5 / 25)


def test_a_half_closed_eye_is_no_blink():
    half = [ratio if ratio == OPEN else 0.2 for ratio in TWO_BLINKS]
    assert metrics.BlinkRate()(faces(half), 25.0).item() == 0


def test_narrow_eyes_are_measured_by_their_own_median():
    narrow = [ratio / 3 for ratio in TWO_BLINKS]
    assert metrics.BlinkRate()(faces(narrow), 25.0).item() == pytest.approx(60)


def test_a_clip_without_a_blink_has_rate_0_and_no_duration():
    assert metrics.BlinkRate()(faces([OPEN] * 25), 25.0).item() == 0
    with pytest.raises(UnscorableError, match="no blink"):
        metrics.BlinkDuration().update(faces([OPEN] * 25), 25.0)


def test_eyes_closed_in_the_first_frame_are_one_blink():
    assert blink.blink_onsets(torch.tensor([True, True, False])).tolist() == [0]


def test_lost_frames_shorten_the_time_and_are_no_blinks():
    landmarks = faces(TWO_BLINKS)
    landmarks[15:30] = torch.nan
    metric = metrics.BlinkRate()
    assert metric(landmarks, 25.0).item() == pytest.approx(2 / (35 / 25 / 60))
    assert metric.lost == 15


@pytest.mark.parametrize("metric", [metrics.BlinkRate, metrics.BlinkDuration])
def test_a_clip_without_a_face_has_no_blinks_to_score(metric):
    score = metric()
    assert score(torch.full((9, 68, 2), torch.nan), 25.0).isnan()
    assert score.lost == 9


def test_other_points_are_refused():
    with pytest.raises(ShapeError, match="landmarks"):
        blink.eye_aspect_ratio(torch.zeros(3, 5, 2))
