"""Face-vid2vid renderer: keypoints that move the volume, sizes, bridge; its discriminator and spectral norm."""

import pytest
import torch
from torch import Tensor, nn

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.geometry import base_grid
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.nn.enlarged import EnlargedConv
from talkingface.core.nn.spectral import SpectralConv2d
from talkingface.core.nn.volume import DeepConv3d, enlarge, volume_grid
from talkingface.core.nn.winograd import WinogradConv
from talkingface.renderers import FaceVid2VidRenderer, PatchDiscriminator
from talkingface.renderers import fused as fusing
from talkingface.renderers.dense_motion import DenseMotion, gaussians
from talkingface.renderers.spade_decoder import SpadeDecoder

SMALL = {"size": 64, "width": 0.125, "depth": 4}


class Keypoints(MotionEncoder):
    """A face that is told by the picture's first pixels, in LivePortrait's convention; counts its passes."""

    def __init__(self, count: int = 15) -> None:
        super().__init__()
        self.spec = MotionSpec.of_keypoints("liveportrait", count)
        self.passes = 0

    def describe(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.passes += 1
        count = self.spec.num_keypoints
        motion = 0.1 * image.flatten(1)[:, : self.spec.dim]
        motion[:, -1] += 1.2
        return motion, image.flatten(1)[:, -3 * count :].unflatten(1, (count, 3))

    def forward(self, image: Tensor) -> Tensor:
        return self.describe(image)[0]

    def canonical(self, image: Tensor) -> Tensor:
        return self.describe(image)[1]


class Vector(MotionEncoder):
    """Motion without geometry."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"code": 6})

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1)[:, :6]


@pytest.fixture
def image() -> Tensor:
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, 64, mode="bilinear")


@pytest.fixture
def renderer() -> FaceVid2VidRenderer:
    torch.manual_seed(0)
    return FaceVid2VidRenderer(Keypoints(), **SMALL).eval()


@torch.no_grad()
def test_portrait_is_described_in_one_pass(renderer, image):
    source = renderer.appearance(image)
    assert renderer._wired[0].passes == 1
    torch.testing.assert_close(source.canonical, renderer._wired[0].canonical(image))
    assert [tuple(features.shape) for features in source.features] == [(2, 4, 4, 16, 16)] * 2
    assert source.identity.shape == (2, 16)


@torch.no_grad()
def test_own_motion_leaves_the_flow_at_rest(renderer, image):
    source = renderer.appearance(image)
    rest = torch.nn.functional.interpolate(base_grid(16, 16, image).permute(0, 3, 1, 2), size=64, mode="bilinear")
    still = renderer(source, source.motion).flow.permute(0, 3, 1, 2)
    torch.testing.assert_close(still, rest.expand_as(still), atol=1e-5, rtol=0)
    moved = renderer(source, source.motion.flip(0)).flow.permute(0, 3, 1, 2)
    assert (moved - still).abs().max() > 1e-3


@torch.no_grad()
def test_occlusion_and_picture_are_in_range(renderer, image):
    output = renderer(renderer.appearance(image), renderer._wired[0](image.flip(0)))
    assert output.image.abs().max() <= 1
    assert 0 <= output.occlusion.min() <= output.occlusion.max() <= 1


@torch.no_grad()
def test_one_portrait_serves_many_frames(renderer, image):
    motion = renderer._wired[0](image)
    one = renderer.appearance(image[:1])
    both = renderer(one, motion).image
    torch.testing.assert_close(both[1:], renderer(one, motion[1:]).image, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_portrait_may_come_at_the_size_that_is_made(image):
    renderer = FaceVid2VidRenderer(Keypoints(), output=128, **SMALL).eval()
    large = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    small = renderer.appearance(image)
    torch.testing.assert_close(renderer.appearance(large).features[0], small.features[0])
    assert renderer(small, small.motion).image.shape == (2, 3, 128, 128)


def test_picture_of_another_size_is_refused(renderer):
    with pytest.raises(ShapeError, match="64"):
        renderer.appearance(torch.zeros(1, 3, 96, 96))


def test_motion_of_another_width_is_refused(renderer, image):
    source = renderer.appearance(image)
    with pytest.raises(ShapeError, match=r"\(2, 70\), expected \(B, 52\)"):
        renderer(source, torch.zeros(2, 70))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 96}, "power of two"),
        ({"output": 256}, r"cannot make 256 px of 64 px; use output=size or output=2\*size"),
        ({"decoder": "plain", "output": 128}, "plain decoder cannot make 128 px of 64 px; use output=size"),
        ({"decoder": "stylegan"}, "use spade or plain"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        FaceVid2VidRenderer(Keypoints(), **{**SMALL, **settings})


@torch.no_grad()
def test_bridge_is_linear_in_a_motion_without_keypoints(image):
    renderer = FaceVid2VidRenderer(Vector(), **SMALL)
    source = renderer.appearance(image)
    motion = torch.randn(2, 6)
    step = renderer.keypoints(source, motion) - renderer.rest
    torch.testing.assert_close(renderer.keypoints(source, 2 * motion) - renderer.rest, 2 * step)
    assert step.abs().max() > 0


def test_keypoints_need_no_bridge(renderer):
    assert not any(name.startswith(("rest", "bridge")) for name in renderer.state_dict())


@torch.no_grad()
def test_still_keypoints_give_the_grid_of_no_motion():
    torch.manual_seed(0)
    dense = DenseMotion(5, 4, 16, 0.125).eval()
    points = torch.rand(1, 5, 3) - 0.5
    field = dense(torch.randn(1, 4, 4, 16, 16), points, points)
    torch.testing.assert_close(field.grid[0], volume_grid((4, 16, 16), points))
    torch.testing.assert_close(field.mask.sum(1), torch.ones(1, 4, 16, 16))


@torch.no_grad()
def test_moved_keypoints_shift_the_grid_towards_the_source():
    """Every candidate reads at the source's place, so a common step of all points moves the grid against it."""
    torch.manual_seed(0)
    dense = DenseMotion(5, 4, 16, 0.125).eval()
    source = torch.rand(1, 5, 3) - 0.5
    field = dense(torch.randn(1, 4, 4, 16, 16), source, source + torch.tensor([0.2, 0.0, 0.0]))
    step = field.grid[0] - volume_grid((4, 16, 16), source)
    torch.testing.assert_close(step[..., 0], -0.2 * (1 - field.mask[0, 0]))
    assert step[..., 1:].abs().max() < 1e-6


@pytest.mark.parametrize("depth", [1, 3, 4, 7, 9])
def test_a_deep_kernel_convolves_shallow_volumes_as_any_other(depth):
    torch.manual_seed(depth)
    deep, plain = DeepConv3d(3, 2, 7).double(), nn.Conv3d(3, 2, 7, padding=3).double()
    plain.load_state_dict(deep.state_dict())
    volumes = [torch.ones(2, 3, depth, 5, 6, dtype=torch.double).cumsum(-1).sin().requires_grad_() for _ in range(2)]
    weights = torch.linspace(-1, 1, 2 * 2 * depth * 5 * 6, dtype=torch.double).view(2, 2, depth, 5, 6)
    for part, volume in zip((deep, plain), volumes, strict=True):
        (part(volume) * weights).sum().backward()
    torch.testing.assert_close(deep(volumes[0]), plain(volumes[1]))
    torch.testing.assert_close(volumes[0].grad, volumes[1].grad)
    torch.testing.assert_close(deep.weight.grad, plain.weight.grad)
    torch.testing.assert_close(deep.bias.grad, plain.bias.grad)


def test_heat_map_peaks_at_its_keypoint():
    point = volume_grid((4, 8, 16), torch.zeros(1))[1, 5, 3]
    heat = gaussians(point[None, None], [4, 8, 16])[0, 0]
    assert heat[1, 5, 3] == 1
    assert heat.sum() == heat[1, :, :].sum() + heat[[0, 2, 3]].sum()
    assert (heat == 1).sum() == 1


@torch.no_grad()
def test_discriminator_judges_every_patch_at_every_scale():
    torch.manual_seed(0)
    critic = PatchDiscriminator(scales=(1.0, 0.5), width=0.125).eval()
    picture = torch.rand(2, 3, 128, 128) * 2 - 1
    assert critic(picture).shape == (2, 10 * 10 + 2 * 2)
    assert [maps.shape[1] for maps in critic.features(picture)] == [8, 16, 32, 64] * 2
    changed = picture.clone()
    changed[..., :8, :8] *= -1
    far = critic(changed)[:, 99] - critic(picture)[:, 99]  # the instance norm alone reaches the last patch
    near = critic(changed)[:, 0] - critic(picture)[:, 0]
    assert far.abs().max() < near.abs().max()


def test_discriminator_refuses_a_picture_without_a_whole_patch():
    with pytest.raises(ShapeError, match=r"32 px .* needs 53 px"):
        PatchDiscriminator(scales=(1.0, 0.5), width=0.125)(torch.zeros(1, 3, 64, 64))


def test_discriminator_without_a_scale_is_refused():
    with pytest.raises(ConfigError, match="at least one scale"):
        PatchDiscriminator(scales=())


def test_spectral_norm_holds_the_largest_singular_value_at_one():
    torch.manual_seed(0)
    conv = SpectralConv2d(4, 6, 3)
    assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() != pytest.approx(1, abs=0.05)
    assert torch.linalg.matrix_norm(conv.normalised_weight().flatten(1), 2).item() == pytest.approx(1, abs=0.01)


def test_spectral_norm_follows_the_weight_while_it_is_trained():
    torch.manual_seed(0)
    conv = SpectralConv2d(4, 6, 3)
    conv.weight.data = torch.randn_like(conv.weight)
    for _ in range(30):
        conv(torch.zeros(1, 4, 3, 3))
    assert torch.linalg.matrix_norm(conv.normalised_weight().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_spectral_norm_is_left_alone_without_gradients():
    torch.manual_seed(0)
    conv = SpectralConv2d(4, 6, 3)
    before = conv.left.clone()
    with torch.no_grad():
        conv(torch.zeros(1, 4, 3, 3))
    assert torch.equal(conv.left, before)
    conv(torch.zeros(1, 4, 3, 3))
    assert not torch.equal(conv.left, before)


def lively(renderer: FaceVid2VidRenderer) -> FaceVid2VidRenderer:
    """Statistics and gains as a trained network has them: neither 0 nor 1."""
    for name, tensor in renderer.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("running_mean") or ".norm" in name:
            tensor.add_(0.1 * torch.randn(tensor.shape)) if tensor.is_floating_point() else None
    return renderer.eval()


FORMS = [{}, {"output": 128}, {"decoder": "plain"}]


@pytest.mark.parametrize("form", FORMS, ids=str)
@torch.no_grad()
def test_fused_renderer_draws_the_same(image, form):
    torch.manual_seed(0)
    renderer = lively(FaceVid2VidRenderer(Keypoints(), **SMALL, **form))
    fused, source = renderer.fused(), renderer.appearance(image)
    want, have = (net(source, source.motion.flip(0)) for net in (renderer, fused))
    torch.testing.assert_close(have.image, want.image, atol=2e-5, rtol=0)
    torch.testing.assert_close(have.flow, want.flow, atol=1e-5, rtol=0)
    torch.testing.assert_close(have.occlusion, want.occlusion, atol=1e-5, rtol=0)
    torch.testing.assert_close(fused.appearance(image).features, source.features, atol=1e-4, rtol=1e-4)
    assert (want.image - renderer(source, source.motion).image).abs().max() > 3e-4  # the control


@torch.no_grad()
def test_fusing_leaves_the_renderer_and_its_motion_encoder_alone(renderer, image):
    names = list(renderer.state_dict())
    fused = renderer.fused()
    assert list(renderer.state_dict()) == names != list(fused.state_dict())
    assert fused._wired[0] is renderer._wired[0]


@torch.no_grad()
def test_fused_half_precision_keeps_geometry_in_full(renderer, image):
    fused, source = renderer.fused(torch.bfloat16), renderer.appearance(image)
    want, have = (net(source, source.motion.flip(0)) for net in (renderer, fused))
    assert have.image.dtype == have.flow.dtype == torch.float32
    assert (have.flow - want.flow).abs().max() * 32 < 0.05  # pixels
    assert 20 * (2 / (have.image - want.image).square().mean().sqrt()).log10() > 30  # dB


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("dims", [2, 3])
def test_enlarged_convolution_is_that_of_the_enlarged_map(dims, factor):
    torch.manual_seed(0)
    conv = (torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d)(3, 5, 3, padding=1)
    features = torch.randn(2, 3, *(4, 5, 6)[3 - dims :])
    torch.testing.assert_close(
        EnlargedConv(conv, factor)(features), conv(enlarge(features, factor)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (4, 4)])
@torch.no_grad()
def test_winograd_convolution_is_the_direct_one(size):
    torch.manual_seed(0)
    conv, features = torch.nn.Conv2d(32, 5, 3, padding=1), torch.randn(2, 32, *size)
    torch.testing.assert_close(WinogradConv(conv)(features), conv(features), atol=1e-4, rtol=0)


@torch.no_grad()
def test_fused_decoder_of_wide_layers_draws_the_same(monkeypatch):
    """Layers as wide as the published ones go through Winograd's convolution."""
    torch.manual_seed(0)
    decoder = SpadeDecoder(16, 0.125, 2).eval()
    guide = torch.randn(1, 16, 16, 16)
    want = decoder(guide)
    monkeypatch.setattr(fusing, "WINOGRAD_CHANNELS", 8)
    quick = fusing.fuse(decoder, torch.float32)
    assert sum(isinstance(module, WinogradConv) for module in quick.modules()) > 30
    torch.testing.assert_close(quick(guide), want, atol=1e-4, rtol=0)
