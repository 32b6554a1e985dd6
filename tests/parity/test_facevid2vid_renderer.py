"""LivePortrait's F, W and G, and the open face-vid2vid's generators and discriminator, at full size.

Tolerances are the reference's: 2e-4 of the array's standard deviation for features, 1e-3 for pictures in [0, 1].
"""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from parity import facevid2vid_inputs as inputs
from talkingface.convert import facevid2vid as facevid2vid_names
from talkingface.convert import liveportrait as liveportrait_names
from talkingface.convert.fill import fill, refuse
from talkingface.convert.names import Rules, published_names
from talkingface.convert.volume_renderer import PLAIN, SPADE
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.renderers import FaceVid2VidRenderer, PatchDiscriminator, warping

Part = TypeVar("Part", bound=nn.Module)
FEATURES, PICTURES = 2e-4, 1e-3
SECTION = "facevid2vid"


class Standing(MotionEncoder):
    """Wired in where only the renderer is measured: every picture has no motion."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.spec = MotionSpec.of_keypoints("facevid2vid", keypoints)

    def forward(self, image: Tensor) -> Tensor:
        return image.new_zeros(len(image), self.spec.dim)

    def canonical(self, image: Tensor) -> Tensor:
        return image.new_zeros(len(image), self.spec.num_keypoints, 3)


def load(part: Part, rules: Rules, tensors: dict[str, Tensor]) -> Part:
    refuse(fill(part, published_names(part, rules), tensors, "the oracle"), "the oracle")
    return part.eval()


def close(oracle: Any, name: str, ours: Tensor, tolerance: float) -> None:
    theirs = inputs.expected(oracle, name).flatten()
    error = (inputs.at_stored(oracle, name, ours) - theirs).abs().max().item()
    print(f"{name}: {error:.1e} of {tolerance:.1e}")
    assert error < tolerance


def features_close(oracle: Any, name: str, ours: Tensor) -> None:
    close(oracle, name, ours, FEATURES * inputs.expected(oracle, name).std().item())


@pytest.fixture(scope="module")
def liveportrait(oracle: Callable[[str, str], Any]) -> FaceVid2VidRenderer:
    renderer = FaceVid2VidRenderer(Standing(21), output=512)
    tensors = {}
    for module in ("F_appearance_feature_extractor", "W_warping_module", "G_spade_generator"):
        tensors |= inputs.filled(oracle(SECTION, f"lp_{module[0]}"), f"liveportrait_{module}_keys.json")
    return load(renderer, liveportrait_names.RENDERER, tensors)


@torch.no_grad()
def test_appearance_volume(liveportrait, oracle):
    numbers = oracle(SECTION, "lp_F")
    source = liveportrait.appearance(inputs.image(numbers, "source_image") * 2 - 1)
    features_close(numbers, "source_image_out", source.features[0])


@torch.no_grad()
def warped(renderer: FaceVid2VidRenderer, numbers: Any) -> warping.Warped:
    volume = inputs.tensor(numbers, "feature_3d", (1, 32, 16, 64, 64))
    points = [inputs.tensor(numbers, name, (1, 21, 3), 0.3) for name in ("kp_source", "kp_driving")]
    return renderer.warping(volume, renderer.compress(volume), *points)


def test_warping(liveportrait, oracle):
    numbers = oracle(SECTION, "lp_W")
    found = warped(liveportrait, numbers)
    features_close(numbers, "out", found.features)
    features_close(numbers, "occlusion_map", found.field.occlusion)
    features_close(numbers, "deformation", found.field.grid)
    features_close(numbers, "mask", found.field.mask)


def test_control_another_sampling_convention_is_seen(liveportrait, oracle, monkeypatch):
    numbers = oracle(SECTION, "lp_W")
    aligned = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": True}
    monkeypatch.setattr(warping, "sample", lambda volume, grid: nn.functional.grid_sample(volume, grid, **aligned))
    with pytest.raises(AssertionError):
        features_close(numbers, "out", warped(liveportrait, numbers).features)


@torch.no_grad()
def test_spade_decoder_at_512_px(liveportrait, oracle):
    numbers = oracle(SECTION, "lp_G")
    close(numbers, "out", liveportrait.decoder(inputs.tensor(numbers, "generator_feature", (1, 256, 64, 64))), PICTURES)


@pytest.mark.parametrize("decoder", ["original", "spade"])
@torch.no_grad()
def test_generator_of_the_open_facevid2vid(oracle, decoder):
    numbers = oracle(SECTION, f"fv_generator_{decoder}")
    renderer = FaceVid2VidRenderer(Standing(15), decoder="plain" if decoder == "original" else "spade")
    tensors = inputs.filled(numbers, f"facevid2vid_generator_{decoder}_keys.json")
    load(renderer, PLAIN if decoder == "original" else SPADE, tensors)
    source = renderer.appearance(inputs.image(numbers, "source_image") * 2 - 1)
    start, first, second = (
        inputs.tensor(numbers, name, (1, 15, 3), 0.3) for name in ("kp_source15", "kp_driving15", "kp_driving15_2")
    )
    field = renderer.warping(*source.features, start, first).field
    features_close(numbers, "occlusion_map", field.occlusion)
    features_close(numbers, "mask", field.mask)
    spec = renderer._wired[0].spec
    portrait = Source(
        source.features, source.identity, spec.with_keypoints(source.motion, source.canonical, start), source.canonical
    )
    for name, points in (("prediction", first), ("prediction_2", second)):
        motion = spec.with_keypoints(source.motion, source.canonical, points)
        close(numbers, name, renderer(portrait, motion).image / 2 + 0.5, PICTURES)


@torch.no_grad()
def test_patch_discriminator(oracle):
    numbers = oracle(SECTION, "fv_discriminator")
    tensors = inputs.filled(numbers, "facevid2vid_discriminator_keys.json")
    critic = load(PatchDiscriminator(), facevid2vid_names.CRITIC, tensors)
    image = inputs.image(numbers, "driving_image_1") * 2 - 1
    for block, maps in enumerate(critic.features(image)):
        features_close(numbers, f"feature_{block}", maps)
    features_close(numbers, "prediction_map", critic(image).view(1, 1, 26, 26))
