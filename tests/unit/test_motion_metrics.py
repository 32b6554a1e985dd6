import pytest
import torch

from talkingface import metrics
from talkingface.core.errors import UnscorableError
from talkingface.core.geometry import euler, geodesic_angle, rotation
from talkingface.metrics.functional import motion as functional


def poses(*yaw: float, pitch: float = 0.0) -> torch.Tensor:
    return rotation(torch.tensor([[angle, pitch, 0.0] for angle in yaw], dtype=torch.float64))


def random_faces(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(frames, 68, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 100


def test_pose_distance_is_the_angle_between_the_heads():
    assert metrics.PoseDistance()(poses(0, 0), poses(10, 20)).item() == pytest.approx(15)


def test_the_same_head_is_at_no_angle_even_in_single_precision():
    heads = rotation(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 40)
    assert metrics.PoseDistance()(heads, heads).item() == 0
    relative = (heads.double().mT @ heads.double()).diagonal(dim1=-2, dim2=-1).sum(-1)
    assert torch.rad2deg(torch.acos(((relative - 1) / 2).clamp(-1, 1))).max() > 0.01  # the control: by arc cosine


def test_a_lost_face_counts_as_the_worst_angle():
    prediction = poses(10, 10)
    prediction[0] = torch.nan
    metric = metrics.PoseDistance()
    assert metric(prediction, poses(0, 0)).item() == pytest.approx((180 + 10) / 2)
    assert metric.lost == 1


def test_a_target_without_pose_is_left_out():
    target = poses(0, 0)
    target[0] = torch.nan
    assert metrics.PoseDistance()(poses(90, 10), target).item() == pytest.approx(10)
    with pytest.raises(UnscorableError):
        metrics.PoseDistance().update(poses(0), torch.full((1, 3, 3), torch.nan))


def test_euler_distance_is_in_radians_and_over_three_angles():
    assert metrics.EulerPoseDistance()(poses(0), poses(30)).item() == pytest.approx(torch.pi / 6 / 3)


@pytest.mark.parametrize("angles", [(20.0, -10.0, 5.0), (-80.0, 30.0, 170.0), (0.0, 0.0, 0.0)])
def test_convention_euler_angles_are_those_of_rotation(angles):
    assert euler(rotation(torch.tensor(angles, dtype=torch.float64))).tolist() == pytest.approx(angles, abs=1e-9)


def test_expression_distance_is_the_mean_of_absolute_differences():
    first = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert metrics.ExpressionDistance()(first, torch.zeros(2, 2)).item() == pytest.approx(0.75)


def test_expressions_that_were_not_found_are_listed():
    first = torch.tensor([[1.0, 2.0], [torch.nan, torch.nan]])
    metric = metrics.ExpressionDistance()
    assert metric(first, torch.zeros(2, 2)).item() == pytest.approx(1.5)
    assert metric.lost == 1


def test_a_still_head_has_no_motion():
    assert metrics.HeadMotion()(poses(*[12.0] * 9)).item() == pytest.approx(0, abs=1e-6)
    assert metrics.HeadMotionDelta()(poses(*[12.0] * 9)).item() == pytest.approx(0, abs=1e-6)


def test_head_motion_is_the_population_spread_over_three_angles():
    assert metrics.HeadMotion()(poses(-6, 6, -6, 6)).item() == pytest.approx(6 / 3)


def test_head_motion_delta_is_the_change_from_frame_to_frame():
    assert metrics.HeadMotionDelta()(poses(0, 3, 6, 9)).item() == pytest.approx(3 / 3)


def test_slow_and_fast_motion_of_one_range_differ_only_in_delta():
    slow, fast = poses(*[0.0] * 4, *[8.0] * 4), poses(*[0.0, 8.0] * 4)
    assert metrics.HeadMotion()(slow).item() == pytest.approx(metrics.HeadMotion()(fast).item())
    assert metrics.HeadMotionDelta()(fast) > 5 * metrics.HeadMotionDelta()(slow)


def test_lost_frames_are_left_out_of_the_spread_and_listed():
    heads = poses(-6, 6, -6, 6, 50)
    heads[4] = torch.nan
    metric = metrics.HeadMotion()
    assert metric(heads).item() == pytest.approx(2)
    assert metric.lost == 1


def test_a_head_seen_once_has_no_spread():
    heads = torch.full((5, 3, 3), torch.nan)
    heads[2] = torch.eye(3)
    metric = metrics.HeadMotion()
    assert metric(heads).isnan()
    assert metric.lost == 5


@pytest.mark.parametrize("metric", [metrics.HeadMotion, metrics.HeadMotionDelta])
def test_one_frame_has_no_motion_to_score(metric):
    with pytest.raises(UnscorableError, match="shorter than 2"):
        metric().update(poses(0))


def test_jitter_sees_trembling_but_not_steady_motion():
    face = random_faces(1)
    steady = face + torch.arange(30.0)[:, None, None] * 2
    trembling = face + torch.randn(30, 68, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert metrics.Jitter()(steady, 25.0).item() == pytest.approx(0, abs=1e-6)
    assert metrics.Jitter()(trembling, 25.0) > 1e4


def test_a_shaken_head_is_only_in_the_raw_jitter():
    shake = 5 * torch.randn(30, 1, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert metrics.Jitter()(random_faces(1) + shake, 25.0).item() == pytest.approx(0, abs=1e-6)
    assert metrics.RawJitter()(random_faces(1) + shake, 25.0) > 1e4


def test_a_tilted_and_growing_head_is_stabilised():
    angles = torch.deg2rad(torch.linspace(-20, 20, 12, dtype=torch.float64).sin() * 40)
    turn = torch.stack((angles.cos(), -angles.sin(), angles.sin(), angles.cos()), -1).reshape(-1, 2, 2)
    moved = random_faces(1) @ turn.mT * torch.linspace(1, 1.5, 12, dtype=torch.float64)[:, None, None]
    still = functional.stabilised(moved)
    assert (still - still[:1]).abs().max() < 1e-9


def test_jitter_grows_with_the_cube_of_the_frame_rate():
    faces = random_faces(8)
    assert (metrics.RawJitter()(faces, 50.0) / metrics.RawJitter()(faces, 25.0)).item() == pytest.approx(8)


def test_a_lost_frame_takes_its_four_windows_out_of_the_jitter():
    faces = random_faces(12)
    faces[5] = torch.nan
    metric = metrics.Jitter()
    assert metric(faces, 25.0).isfinite()
    assert metric.lost == 4


def test_three_frames_have_no_jitter():
    with pytest.raises(UnscorableError, match="shorter than 4"):
        metrics.Jitter().update(random_faces(3), 25.0)


def test_a_clip_without_a_face_has_no_jitter():
    metric = metrics.Jitter()
    assert metric(torch.full((8, 68, 2), torch.nan), 25.0).isnan()
    assert metric.lost == 5


def test_beats_are_pauses_of_the_head():
    angles = torch.cumsum(torch.tensor([3.0, 1.0, 3.0, 3.0, 0.5, 3.0]), 0)
    pose = torch.cat((torch.zeros(1), angles))[:, None].expand(-1, 3)
    assert functional.motion_beats(pose).tolist() == [1, 4]


def test_beat_alignment_has_a_direction():
    few, many = torch.tensor([10]), torch.tensor([10, 100])
    assert functional.beat_alignment(few, many) == 1
    assert functional.beat_alignment(many, few) == pytest.approx(0.5)


def test_without_beats_there_is_no_alignment():
    assert functional.beat_alignment(torch.tensor([1]), torch.tensor([])).isnan()


def test_opposite_heads_are_half_a_turn_apart():
    assert geodesic_angle(poses(0), poses(180)).item() == pytest.approx(180)
