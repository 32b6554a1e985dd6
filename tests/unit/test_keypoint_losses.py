"""Losses on implicit 3D keypoints: each prefers what it is there for."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from talkingface.core.errors import ConfigError, WeightsError
from talkingface.losses import (
    Hopenet,
    LandmarkGuide,
    Warp,
    canonical_loss,
    deformation_prior,
    equivariance_loss,
    feature_matching_loss,
    head_pose_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    keypoint_prior,
)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def picture():
    return functional.interpolate(torch.rand(2, 3, 8, 8, generator=draws()) * 2 - 1, 64, mode="bicubic")


@pytest.fixture
def points():
    return torch.rand(2, 10, 3, generator=draws(1)) - 0.5


# equivariance


def test_a_warped_picture_shows_at_a_point_what_the_picture_shows_where_the_warp_sends_it(picture):
    warp = Warp.draw(picture, draws())
    place = torch.tensor([[[0.2, -0.3]]]).expand(2, 1, 2)
    warped = functional.grid_sample(warp.image(picture), place.unsqueeze(1), align_corners=True)
    original = functional.grid_sample(picture, warp.points(place).unsqueeze(1), align_corners=False)
    unmoved = functional.grid_sample(picture, place.unsqueeze(1), align_corners=False)
    assert (warped - original).abs().mean() < 0.1 * (unmoved - original).abs().mean()


def test_keypoints_that_move_with_the_picture_cost_nothing(picture, points):
    warp = Warp.draw(picture, draws())
    followed = torch.cat((warp.points(points[..., :2]), points[..., 2:]), -1)
    assert equivariance_loss(followed, points, warp).item() == 0
    assert equivariance_loss(points, points, warp).item() > 0.01


def test_a_warp_is_drawn_from_its_generator_alone(picture):
    first, again, other = (Warp.draw(picture, draws(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.spline, again.spline)
    assert torch.equal(first.affine, again.affine)
    assert not torch.equal(first.affine, other.affine)


def test_every_picture_of_a_batch_is_warped_differently(picture):
    warp = Warp.draw(picture, draws())
    assert not torch.equal(warp.affine[0], warp.affine[1])


# priors


def test_the_keypoint_prior_pushes_close_points_apart_and_leaves_far_ones_alone():
    close = torch.tensor([[[0.0, 0.0, 0.33], [0.1, 0.0, 0.33]]], requires_grad=True)
    far = torch.tensor([[[0.0, 0.0, 0.33], [0.5, 0.0, 0.33]]], requires_grad=True)
    slopes = [torch.autograd.grad(keypoint_prior(points), points)[0][0, 1, 0].item() for points in (close, far)]
    assert slopes[0] < 0  # moving the second point to the right lowers the loss
    assert slopes[1] == 0


def test_the_keypoint_prior_wants_a_mean_depth_of_a_third(points):
    def at(depth):
        return keypoint_prior(torch.cat((points[..., :2], points[..., 2:] + depth - points[..., 2:].mean(1, True)), -1))

    assert at(0.33) < at(0.5)
    assert at(0.33) < at(0.1)


def test_points_far_apart_at_the_right_depth_cost_their_constant():
    points = torch.tensor([[[0.0, 0.0, 0.33], [0.9, 0.0, 0.33], [0.0, 0.9, 0.33]]])
    assert keypoint_prior(points).item() == pytest.approx(0.3, abs=1e-6)


def test_the_deformation_prior_is_the_sum_over_the_keypoints_not_their_mean():
    assert deformation_prior(torch.full((4, 63), -0.1)).item() == pytest.approx(6.3, abs=1e-5)


# head pose


def test_head_pose_counts_degrees_of_all_angles():
    teacher = torch.tensor([[10.0, 0.0, -5.0], [0.0, 0.0, 0.0]])
    pose = torch.tensor([[7.0, 1.0, -5.0], [0.0, 0.0, 2.0]])
    assert head_pose_loss(pose, teacher).item() == pytest.approx(3.0)


def test_an_unknown_head_pose_does_not_count():
    teacher = torch.tensor([[torch.nan] * 3, [0.0, 0.0, 0.0]])
    pose = torch.tensor([[7.0, 1.0, -5.0], [0.0, 3.0, 0.0]], requires_grad=True)
    loss = head_pose_loss(pose, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(3.0)
    assert pose.grad.tolist()[0] == [0, 0, 0]


def test_the_teacher_learns_nothing():
    teacher = torch.zeros(1, 3, requires_grad=True)
    head_pose_loss(torch.ones(1, 3, requires_grad=True), teacher).backward()
    assert teacher.grad is None


def test_a_file_that_is_not_hopenet_is_refused_by_tensor(tmp_path):
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"fc_yaw|bn1"):
        Hopenet(weights=str(tmp_path / "other.safetensors"))


def test_hopenet_is_never_made_up(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="talkingface doctor --fetch hopenet"):
        Hopenet()


# canonical keypoints


def test_canonical_keypoints_of_one_person_are_drawn_to_each_other(points):
    first, second = points.clone().requires_grad_(), (points + 0.1).requires_grad_()
    canonical_loss(first, second).backward()
    assert (first.grad < 0).all()
    assert (second.grad > 0).all()


def test_the_canonical_loss_is_a_square_near_zero_and_a_line_beyond():
    def at(distance):
        return canonical_loss(torch.zeros(1, 4, 3), torch.full((1, 4, 3), distance)).item()

    assert at(0.04) == pytest.approx(4 * at(0.02), rel=1e-5)
    assert at(0.3) - at(0.2) == pytest.approx(at(0.2) - at(0.1), rel=1e-5)


# landmarks


def face(points, guide):
    """Landmarks ``(B, 68, 2)`` of which the guided ones lie on their keypoints."""
    landmarks = torch.rand(len(points), 68, 2, generator=draws(2))
    landmarks[:, guide.landmarks] = (points[:, guide.keypoints, :2] + 1) / 2
    return landmarks


@pytest.mark.parametrize("distance", ["huber", "wing"])
def test_keypoints_on_their_landmarks_cost_nothing(distance):
    guide = LandmarkGuide(distance=distance)
    points = torch.rand(2, 21, 3, generator=draws()) - 0.5
    landmarks = face(points, guide)
    assert guide(points, landmarks).item() == pytest.approx(0, abs=1e-6)
    assert guide(points + 0.1, landmarks).item() > 1e-3


def test_points_that_are_not_guided_do_not_matter():
    guide = LandmarkGuide(keypoints=[0, 3], landmarks=[36, 45])
    points = torch.rand(2, 15, 3, generator=draws()) - 0.5
    landmarks = face(points, guide)
    points[:, 1] += 0.5
    points[..., 2] += 0.5
    assert guide(points, landmarks).item() == pytest.approx(0, abs=1e-6)


def test_the_wing_is_steeper_than_huber_at_small_errors():
    """A tenth of the way to the landmark brings a larger share of the loss: what subtle expressions need."""

    def ratio(distance):
        guide = LandmarkGuide(keypoints=[0], landmarks=[0], distance=distance)
        at = [guide(torch.full((1, 1, 3), error), torch.full((1, 68, 2), 0.5)).item() for error in (0.004, 0.04)]
        return at[0] / at[1]

    assert ratio("wing") > 5 * ratio("huber")


@pytest.mark.parametrize("distance", ["huber", "wing"])
def test_an_unknown_landmark_neither_counts_nor_spoils_the_gradient(distance):
    guide = LandmarkGuide(distance=distance)
    points = torch.rand(2, 21, 3, generator=draws(), requires_grad=True)
    landmarks = torch.rand(2, 68, 2, generator=draws(1))
    landmarks[0] = torch.nan
    loss = guide(points, landmarks)
    loss.backward()
    assert loss.item() == pytest.approx(guide(points[1:], landmarks[1:]).item())
    assert points.grad.isfinite().all()
    assert points.grad[0].abs().sum() == 0


def test_an_assignment_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="2 keypoints are to follow 1 landmarks"):
        LandmarkGuide(keypoints=[0, 1], landmarks=[36])
    with pytest.raises(ConfigError, match="68"):
        LandmarkGuide(keypoints=[0], landmarks=[68])
    with pytest.raises(ConfigError, match="there is no distance 'hubert'; known: huber"):
        LandmarkGuide(distance="hubert")
    with pytest.raises(ConfigError, match=r"this representation has 15.*guide\.keypoints"):
        LandmarkGuide().check_keypoints(15)


def test_the_default_assignment_fits_21_keypoints():
    LandmarkGuide().check_keypoints(21)


# hinge and features


def test_the_hinge_leaves_alone_what_is_told_apart_well():
    real, fake = torch.tensor([3.0], requires_grad=True), torch.tensor([-3.0], requires_grad=True)
    hinge_discriminator_loss(real, fake).backward()
    assert real.grad.item() == fake.grad.item() == 0
    assert hinge_discriminator_loss(torch.zeros(1), torch.zeros(1)).item() == 2


def test_the_hinge_rewards_fooling():
    assert hinge_generator_loss(torch.tensor([3.0])) < hinge_generator_loss(torch.tensor([-3.0]))


def test_feature_matching_trains_the_fake_only():
    fake, real = torch.zeros(1, 2, 4, 4, requires_grad=True), torch.ones(1, 2, 4, 4, requires_grad=True)
    loss = feature_matching_loss([fake, fake], [real, real])
    loss.backward()
    assert loss.item() == pytest.approx(20.0)
    assert fake.grad.abs().sum() > 0
    assert real.grad is None
