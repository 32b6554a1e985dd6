"""LIA renderer: sharing a trunk, warping, batches, and motion without a trunk."""

import pytest
import torch
from torch import Tensor, nn

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.geometry import base_grid
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer
from talkingface.renderers.modulated import ModulatedProjection, StyledConv2d, StyledUpConv2d

SMALL = {"size": 64, "width": 0.125}


class Landmarks(MotionEncoder):
    """An explicit representation: no trunk, no code space."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"points": 6})

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1)[:, :6]


@pytest.fixture
def pair() -> tuple[LatentMotion, LIARenderer]:
    torch.manual_seed(0)
    motion = LatentMotion(**SMALL, code_dim=32, dim=6)
    return motion, LIARenderer(motion, **SMALL)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_first_flow_is_nearly_none(pair, image):
    motion, renderer = pair
    with torch.no_grad():
        flow = renderer(renderer.appearance(image), motion(image.flip(0))).flow
    assert (flow - base_grid(64, 64, flow)).abs().mean() * 32 < 1  # pixels


def test_shared_trunk_runs_once_for_appearance_code_and_motion(pair, image, monkeypatch):
    motion, renderer = pair
    calls, forward = [], motion.image_encoder.forward
    monkeypatch.setattr(motion.image_encoder, "forward", lambda image: calls.append(1) or forward(image))
    source = renderer.appearance(image)
    assert len(calls) == 1
    torch.testing.assert_close(source.motion, motion(image))
    assert len(calls) == 2  # the control: reading motion by itself runs it again


def test_weights_of_the_motion_encoder_stay_outside(pair):
    _, renderer = pair
    assert {name.split(".")[0] for name in renderer.state_dict()} == {"constant", "first", "levels"}


def test_one_portrait_is_rendered_with_many_motions(pair, image):
    _, renderer = pair
    with torch.no_grad():
        source, motions = renderer.appearance(image[:1]), torch.randn(3, 6)
        batch = renderer(source, motions).image
        single = torch.cat([renderer(source, motion[None]).image for motion in motions])
    torch.testing.assert_close(batch, single, atol=1e-5, rtol=1e-5)
    assert not batch[0].allclose(batch[1])


def test_rendering_leaves_the_source_as_it_was(pair, image):
    _, renderer = pair
    with torch.no_grad():
        source = renderer.appearance(image)
        before = [features.clone() for features in source.features]
        renderer(source, torch.randn(2, 6))
    assert all(map(torch.equal, before, source.features))


def test_relative_driving_from_equal_frames_is_no_motion(pair, image):
    motion, renderer = pair
    with torch.no_grad():
        source = renderer.appearance(image[:1])
        frame = motion(image[1:])
        relative = renderer(source, frame - frame + source.motion).image
        torch.testing.assert_close(relative, renderer(source, source.motion).image)


def test_representation_without_trunk_gets_an_encoder_and_a_bridge(image):
    torch.manual_seed(0)
    renderer = LIARenderer(Landmarks(), **SMALL)
    source = renderer.appearance(image)
    torch.testing.assert_close(source.motion, image.flatten(1)[:, :6])
    renderer(source, source.motion).image.square().mean().backward()
    assert all(parameter.grad is not None for parameter in renderer.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 128, "width": 0.125}, "64 px and the renderer makes 128 px"),
        ({"size": 64, "width": 0.25}, "same width"),
    ],
)
def test_renderer_that_does_not_fit_the_trunk_is_refused(pair, settings, message):
    with pytest.raises(ConfigError, match=message):
        LIARenderer(pair[0], **settings)


def test_motion_of_another_width_is_refused(pair, image):
    _, renderer = pair
    with pytest.raises(ShapeError, match="motion has shape"):
        renderer(renderer.appearance(image), torch.zeros(2, 7))


def test_published_number_of_parameters():
    """The published decoder without the 16 tensors that have no effect and the directions."""
    with torch.device("meta"):
        renderer = LIARenderer(LatentMotion())
    unused = 13 + (3 * 512 + 3 + 3)  # noise strengths; the RGB layer at 4 px
    assert sum(p.numel() for p in renderer.parameters()) == 22_419_785 - 512 * 20 - unused


@pytest.mark.parametrize("layer_class", [StyledConv2d, StyledUpConv2d])
def test_scaling_channels_equals_a_weight_for_every_sample(layer_class):
    """The identity behind the fast path: modulated weights, demodulated, as a convolution of each sample."""
    torch.manual_seed(0)
    layer = layer_class(6, 10, code_dim=12)
    x, latent = torch.randn(3, 6, 8, 8), torch.randn(3, 12)
    nn.init.normal_(layer.bias)
    expected = []
    for features, style in zip(x, layer.modulation(latent), strict=True):
        weight = layer.weight * layer.scale * style[None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if layer_class is StyledUpConv2d:
            mixed = layer.blur(nn.functional.conv_transpose2d(features[None], weight.transpose(0, 1), stride=2))
        else:
            mixed = nn.functional.conv2d(features[None], weight, padding=1)
        expected.append(nn.functional.leaky_relu(mixed + layer.bias[:, None, None], 0.2) * 2**0.5)
    torch.testing.assert_close(layer(x, layer.style(latent)), torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_projection_without_demodulation_grows_with_its_style():
    torch.manual_seed(0)
    layer = ModulatedProjection(4, 3, 8, std=1.0)
    x, weight = torch.randn(1, 4, 5, 5), layer.style(torch.randn(1, 8))
    torch.testing.assert_close(layer(x, 2 * weight), 2 * layer(x, weight))


def test_half_precision_keeps_flow_and_picture_in_float32(pair, image):
    motion, renderer = pair
    with torch.no_grad():
        exact = renderer(renderer.appearance(image), motion(image)).image
        with torch.autocast("cpu", torch.bfloat16):
            half = renderer(renderer.appearance(image), motion(image))
    assert half.image.dtype == half.flow.dtype == torch.float32
    assert (half.image - exact).abs().mean() < 0.02 * exact.std()


@pytest.mark.parametrize("from_portrait", [True, False])
def test_a_portrait_moved_by_its_own_motion_keeps_its_code_if_steps_are_counted_from_it(image, from_portrait):
    torch.manual_seed(0)
    motion = LatentMotion(**SMALL, code_dim=32, dim=6)
    renderer = LIARenderer(motion, **SMALL, from_portrait=from_portrait)
    published = LIARenderer(motion, **SMALL)
    published.load_state_dict(renderer.state_dict())
    with torch.no_grad():
        source = renderer.appearance(image)
        moved = renderer(source, source.motion).image
        unmoved = published(source, torch.zeros_like(source.motion)).image
    assert torch.equal(moved, unmoved) == from_portrait
