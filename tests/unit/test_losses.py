"""Losses: what they measure, and that a missing network is never replaced by a random one."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from talkingface.core.errors import WeightsError
from talkingface.core.pyramid import gaussian_downsample
from talkingface.losses import VGG16Perceptual, VGG19Perceptual, discriminator_loss, generator_loss, pyramid_loss

VGG16_CHANNELS = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256)}
VGG16_CHANNELS |= {17: (512, 256), **dict.fromkeys((19, 21, 24), (512, 512))}


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for index, (out_channels, in_channels) in VGG16_CHANNELS.items():
        scale = (2 / (in_channels * 9)) ** 0.5  # keeps the variance through ReLU
        weight = scale * torch.randn(out_channels, in_channels, 3, 3, generator=generator)
        tensors |= {f"features.{index}.weight": weight.half(), f"features.{index}.bias": torch.zeros(out_channels)}
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture
def picture():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_generator_is_rewarded_for_fooling():
    assert generator_loss(torch.tensor([5.0])) < generator_loss(torch.tensor([-5.0]))


def test_discriminator_is_rewarded_for_telling_apart():
    sure, wrong = torch.tensor([5.0]), torch.tensor([-5.0])
    assert discriminator_loss(real=sure, fake=wrong) < discriminator_loss(real=wrong, fake=sure)


def test_undecided_players_lose_what_the_formula_says():
    undecided = torch.zeros(4, 1)
    assert generator_loss(undecided).item() == pytest.approx(0.693147, abs=1e-6)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * 0.693147, abs=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_pyramid_is_the_two_dimensional_blur_then_every_nth_pixel(scale, picture):
    sigma = (1 / scale - 1) / 2
    taps = torch.arange(2 * round(4 * sigma) + 1) - round(4 * sigma)
    kernel = torch.exp(-(taps[:, None] ** 2 + taps[None] ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1, -1)
    blurred = nn.functional.conv2d(picture, kernel, padding=kernel.shape[-1] // 2, groups=3)
    stride = round(1 / scale)
    assert torch.allclose(gaussian_downsample(picture, scale), blurred[..., ::stride, ::stride], atol=1e-6)


def test_the_pyramid_prefers_a_shape_that_moved_too_little_to_one_that_did_not_move():
    def square(left):
        picture = torch.zeros(1, 3, 64, 64)
        picture[..., 28:36, left : left + 4] = 1
        return picture

    target, near, far = square(40), square(34), square(22)  # neither overlaps the target: plain L1 sees no difference
    assert nn.functional.l1_loss(near, target) == nn.functional.l1_loss(far, target)
    assert pyramid_loss(near, target) < pyramid_loss(far, target)


def test_perceptual_distance_is_zero_only_for_equal_pictures(vgg16, picture):
    loss = VGG16Perceptual(weights=str(vgg16))
    assert loss(picture, picture).item() == 0
    assert loss(picture.flip(-1), picture).item() > 0


def test_perceptual_distance_grows_with_the_distortion(vgg16, picture):
    loss = VGG16Perceptual(weights=str(vgg16))
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(2))
    assert loss(picture + 0.05 * noise, picture) < loss(picture + 0.3 * noise, picture)


def test_perceptual_loss_trains_the_picture_but_not_the_network(vgg16, picture):
    loss = VGG16Perceptual(weights=str(vgg16))
    image = torch.zeros_like(picture, requires_grad=True)
    loss(image, picture).backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in loss.features.network.parameters())


def test_perceptual_network_stays_out_of_checkpoints_and_training_mode(vgg16):
    loss = VGG16Perceptual(weights=str(vgg16)).train()
    assert loss.state_dict() == {}
    assert not any(module.training for module in loss.features.network.modules())


def test_a_part_says_which_file_it_was_given(vgg16):
    told = {"weights": str(vgg16), "scales": [1.0, 0.5, 0.25, 0.125]}
    assert VGG16Perceptual(weights=str(vgg16)).config["init_args"] == told


def test_a_missing_network_names_the_command_that_gets_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="talkingface doctor --fetch vgg19"):
        VGG19Perceptual()


def test_the_weights_of_another_network_are_refused_by_tensor(vgg16):
    with pytest.raises(WeightsError, match=r"features\.\d+\.weight"):
        VGG19Perceptual(weights=str(vgg16))
