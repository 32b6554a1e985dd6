"""The losses of face-vid2vid that need its whole model give the published implementation's numbers."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from parity import facevid2vid_inputs as inputs
from talkingface.convert import parts_from_checkpoint
from talkingface.core.pyramid import gaussian_downsample
from talkingface.losses import (
    VGG19Perceptual,
    Warp,
    equivariance_loss,
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from talkingface.losses.perceptual import WEIGHT_PER_MAP
from talkingface.losses.pyramid import SCALES

RELATIVE = 1e-4
LEVELS = ("kp_detector", "he_estimator", "generator_spade", "discriminator")


class Model:
    """The converted model, its oracle and the two pictures that its losses compare, in ``[-1, 1]``."""

    @torch.no_grad()
    def __init__(self, oracle) -> None:
        self.numbers = oracle("facevid2vid", "fv_losses")
        tree = {
            name.removesuffix("_spade"): inputs.filled(self.numbers, f"facevid2vid_{name}_keys.json") for name in LEVELS
        }
        parts = parts_from_checkpoint("facevid2vid", tree)
        self.motion, self.renderer, self.discriminator = (
            parts[name] for name in ("motion_encoder", "renderer", "discriminator")
        )
        source, self.real = (inputs.image(self.numbers, name) * 2 - 1 for name in ("source_image", "driving_image_1"))
        self.portrait = self.renderer.appearance(source)
        start, end = (
            self.motion.spec.with_keypoints(
                self.portrait.motion, self.portrait.canonical, inputs.tensor(self.numbers, name, (1, 15, 3), 0.3)
            )
            for name in ("kp_source15", "kp_driving15")
        )
        self.fake = self.renderer(replace(self.portrait, motion=start), end).image

    def wanted(self, name):
        return pytest.approx(inputs.expected(self.numbers, name).item(), rel=RELATIVE)


@pytest.fixture(scope="module")
def model(oracle):
    return Model(oracle)


@pytest.fixture(scope="module")
def vgg(model, tmp_path_factory):
    tensors = inputs.weights(model.numbers, "facevid2vid_vgg19_loss_keys.json")
    path = tmp_path_factory.mktemp("weights") / "vgg19.safetensors"
    named = {f"features.{name.partition('.')[2]}": value for name, value in tensors.items() if name.startswith("slice")}
    save_file(named, path)
    return VGG19Perceptual(weights=str(path))


@torch.no_grad()
def test_perceptual_maps_on_a_pyramid_of_pictures_in_0_to_1(model, vgg):
    def maps(picture, scale):
        return vgg.features(gaussian_downsample(picture / 2 + 0.5, scale) * 2 - 1)

    levels = [
        WEIGHT_PER_MAP * functional.l1_loss(have, want)
        for scale in SCALES
        for have, want in zip(maps(model.fake, scale), maps(model.real, scale), strict=True)
    ]
    assert sum(levels).item() == model.wanted("perceptual")


@torch.no_grad()
def test_our_perceptual_loss_differs_by_what_the_blur_sees_beyond_the_border(model, vgg):
    """Zeros there are black in [0, 1], but grey in [-1, 1], where LIA blurs, and so do we."""
    published = inputs.expected(model.numbers, "perceptual").item()
    assert vgg(model.fake, model.real).item() == pytest.approx(published, rel=2e-3)


@torch.no_grad()
def test_hinge_of_both_players(model):
    fake, real = model.discriminator(model.fake), model.discriminator(model.real)
    assert hinge_generator_loss(fake).item() == model.wanted("gen_gan_hinge")
    assert hinge_discriminator_loss(real, fake).item() == model.wanted("disc_gan_hinge")
    assert hinge_discriminator_loss(fake, real).item() != model.wanted("disc_gan_hinge")  # control: sides exchanged


@torch.no_grad()
def test_feature_matching(model):
    maps = [model.discriminator.features(picture) for picture in (model.fake, model.real)]
    assert feature_matching_loss(*maps).item() == model.wanted("feature_matching")


@torch.no_grad()
def test_equivariance(model):
    noise = inputs.tensor(model.numbers, "tps_theta_noise", (1, 2, 3), 0.05)
    warp = Warp(torch.eye(2, 3) + noise, inputs.tensor(model.numbers, "tps_params", (1, 1, 25), 0.005)[:, 0])
    points, moved = (
        model.motion.spec.keypoints(model.motion(picture), model.portrait.canonical)
        for picture in (model.real, warp.image(model.real))
    )
    assert 10 * equivariance_loss(points, moved, warp).item() == model.wanted("equivariance_value")
