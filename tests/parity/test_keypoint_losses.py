"""The losses of the face-vid2vid line give the published implementation's numbers, and Hopenet its angles."""

import pytest
import torch
from safetensors.torch import save_file

from parity import facevid2vid_inputs as inputs
from talkingface.core.geometry import HOPENET_BINS, expected_degrees
from talkingface.losses import Hopenet, Warp, deformation_prior, head_pose_loss, keypoint_prior

DRIVING = "driving_image_1"


@pytest.fixture(scope="module")
def losses(oracle):
    return oracle("facevid2vid", "fv_losses")


@pytest.fixture(scope="module")
def tps(oracle):
    return oracle("facevid2vid", "fv_tps")


@pytest.fixture(scope="module")
def estimated(oracle):
    """What the published estimator says about the driving picture."""
    return oracle("facevid2vid", "fv_he")


@pytest.fixture(scope="module")
def hopenet(oracle, tmp_path_factory):
    numbers = oracle("facevid2vid", "fv_hopenet")
    path = tmp_path_factory.mktemp("weights") / "hopenet.safetensors"
    save_file(inputs.weights(numbers, "facevid2vid_hopenet_keys.json"), path)
    return Hopenet(weights=str(path))


@pytest.fixture
def warp(tps):
    noise = inputs.tensor(tps, "tps_theta_noise", (1, 2, 3), 0.05)
    return Warp(torch.eye(2, 3) + noise, inputs.tensor(tps, "tps_params", (1, 1, 25), 0.005)[:, 0])


def test_warped_keypoints(tps, warp):
    points = inputs.tensor(tps, "kp_driving15", (1, 15, 3), 0.3)[..., :2]
    assert (warp.points(points) - inputs.expected(tps, "warped_kp")).abs().max() < 1e-5


def test_warped_picture(tps, warp):
    frame = inputs.at_stored(tps, "frame", warp.image(inputs.image(tps, DRIVING)))
    assert (frame - inputs.expected(tps, "frame")).abs().max() < 1e-3


def test_the_comparison_of_pictures_would_notice_a_warp_without_spline(tps, warp):
    stiff = Warp(warp.affine, torch.zeros_like(warp.spline))
    frame = inputs.at_stored(tps, "frame", stiff.image(inputs.image(tps, DRIVING)))
    assert (frame - inputs.expected(tps, "frame")).abs().max() > 1e-2


def test_keypoint_prior(losses):
    points = inputs.tensor(losses, "kp_driving15", (1, 15, 3), 0.3)
    assert 10 * keypoint_prior(points).item() == pytest.approx(
        inputs.expected(losses, "keypoint_prior").item(), rel=1e-5
    )


def test_deformation_prior(losses, estimated):
    expression = inputs.expected(estimated, "driving_1.exp")
    found = 5 * deformation_prior(expression).item()
    assert found == pytest.approx(inputs.expected(losses, "expression").item(), rel=1e-5)


def test_angles_of_hopenet(oracle, hopenet):
    numbers = oracle("facevid2vid", "fv_hopenet")
    degrees = hopenet(inputs.image(numbers, DRIVING) * 2 - 1)[0]
    assert (degrees - inputs.expected(numbers, "degrees_yaw_pitch_roll")[:, 0]).abs().max() < 1e-3


def test_head_pose_loss(losses, estimated, hopenet):
    bins = torch.stack([inputs.expected(estimated, f"driving_1.{angle}") for angle in ("yaw", "pitch", "roll")], 1)
    teacher = hopenet(inputs.image(losses, DRIVING) * 2 - 1)
    found = 20 * head_pose_loss(expected_degrees(bins, HOPENET_BINS), teacher).item()
    assert found == pytest.approx(inputs.expected(losses, "headpose").item(), rel=1e-4)
