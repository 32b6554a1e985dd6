"""Published checkpoints of LivePortrait and face-vid2vid: every layout is read, anything else is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from talkingface.convert import convert_checkpoint, facevid2vid, liveportrait, parts_from_checkpoint
from talkingface.convert.names import Rules, published_names
from talkingface.convert.volume_renderer import PLAIN, SPADE
from talkingface.core.component import Component
from talkingface.core.errors import WeightsError
from talkingface.hub import load_model
from talkingface.motion import FaceVid2VidMotion, LivePortraitMotion, Retargeting
from talkingface.renderers import FaceVid2VidRenderer, PatchDiscriminator

SMALL = {"size": 64, "width": 0.125}
VOLUME = {**SMALL, "depth": 4}
FILES = {
    "base_models/appearance_feature_extractor": ("first.", "second.", "down_blocks.", "resblocks_3d."),
    "base_models/motion_extractor": ("detector.",),
    "base_models/warping_module": ("dense_motion_network.", "third.", "fourth."),
    "base_models/spade_generator": ("fc.", "G_middle_", "up_", "conv_img."),
}
Parts = dict[str, Component]


def tensors_of(part: nn.Module, rules: Rules, start: str = "") -> dict[str, Tensor]:
    """A part's weights under published names, moved away from where they begin."""
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    state = part.state_dict()
    return {theirs: state[ours].clone() for theirs, ours in published_names(part, rules, start).items()}


@pytest.fixture(scope="module")
def living() -> tuple[Parts, dict[str, Tensor]]:
    """A small LivePortrait, and its tensors under published names."""
    torch.manual_seed(0)
    motion = LivePortraitMotion(**SMALL)
    parts: Parts = {
        "motion_encoder": motion,
        "renderer": FaceVid2VidRenderer(motion, **VOLUME, output=128),
        "retargeting": Retargeting(),
    }
    rules = (liveportrait.MOTION, liveportrait.RENDERER, liveportrait.RETARGETING)
    tensors: dict[str, Tensor] = {}
    for part, rule in zip(parts.values(), rules, strict=True):
        tensors |= tensors_of(part.eval(), rule)
    return parts, tensors


def open_facevid2vid(decoder: str) -> tuple[Parts, dict[str, Tensor]]:
    """A small face-vid2vid, and its tensors under published names."""
    torch.manual_seed(0)
    motion = FaceVid2VidMotion(**VOLUME)
    parts: Parts = {
        "motion_encoder": motion,
        "renderer": FaceVid2VidRenderer(motion, **VOLUME, decoder=decoder),
        "discriminator": PatchDiscriminator(width=0.125),
    }
    tensors = tensors_of(motion.eval(), facevid2vid.MOTION)
    tensors |= tensors_of(parts["renderer"].eval(), SPADE if decoder == "spade" else PLAIN, "generator.")
    tensors |= tensors_of(parts["discriminator"].eval(), facevid2vid.CRITIC, "discriminator.")
    return parts, {**tensors, facevid2vid.FILTER: torch.ones(3, 1, 13, 13)}


def nested(tensors: dict[str, Tensor], inner: str = "") -> dict[str, dict[str, Tensor]]:
    """Levels of a checkpoint: the first word of a name, and the rest."""
    levels: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        level, _, rest = name.partition(".")
        levels.setdefault(level, {})[inner + rest] = tensor
    return levels


@torch.no_grad()
def render(parts: Parts) -> Tensor:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    source = parts["renderer"].appearance(image)
    return parts["renderer"](source, -source.motion).image


def published_folder(folder: Any, tensors: dict[str, Tensor]) -> None:
    """The files of a LivePortrait release."""
    for name, starts in FILES.items():
        path = folder / f"{name}.pth"
        path.parent.mkdir(exist_ok=True, parents=True)
        torch.save({key: tensor for key, tensor in tensors.items() if key.startswith(starts)}, path)
    (folder / "retargeting_models").mkdir()
    stitching = {key: tensor for key, tensor in tensors.items() if key.startswith("retarget_")}
    torch.save(nested(stitching, "module."), folder / "retargeting_models" / "stitching_retargeting_module.pth")
    (folder / "landmark.onnx").write_bytes(b"no weights of ours")


def test_a_folder_of_liveportrait_is_read(living, tmp_path):
    parts, tensors = living
    published_folder(tmp_path / "src", tensors)
    convert_checkpoint("liveportrait", tmp_path / "src", tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert render(loaded).equal(render(parts))
    points = torch.randn(1, 21, 3)
    assert loaded["retargeting"].stitch(points, 2 * points).equal(parts["retargeting"].stitch(points, 2 * points))
    assert loaded["renderer"].size == 128


def test_one_file_of_all_modules_is_read_with_and_without_stitching(living, tmp_path):
    parts, tensors = living
    bare = {name: tensor for name, tensor in tensors.items() if not name.startswith("retarget_")}
    save_file(bare, tmp_path / "all.safetensors")
    report = convert_checkpoint("liveportrait", tmp_path / "all.safetensors", tmp_path / "model")
    assert set(report.parameters) == {"motion_encoder", "renderer"}
    assert render(load_model(tmp_path / "model")).equal(render(parts))
    assert set(parts_from_checkpoint("liveportrait", tensors)) == {"motion_encoder", "renderer", "retargeting"}


def test_conversion_carries_the_weights_over(living):
    """Control of the equalities above: other weights render another picture."""
    parts, tensors = living
    other = {**tensors, "conv_img.0.bias": tensors["conv_img.0.bias"] + 0.1}
    assert not render(parts_from_checkpoint("liveportrait", other)).allclose(render(parts), atol=1e-3)


@pytest.mark.parametrize("decoder", ["spade", "plain"])
def test_a_checkpoint_of_facevid2vid_is_read(decoder, tmp_path):
    parts, tensors = open_facevid2vid(decoder)
    rest = {"optimizer_generator": {"state": {0: {"exp_avg": torch.zeros(1)}}}, "epoch": 3}
    torch.save({**nested(tensors), **rest}, tmp_path / "vox.pth.tar.pth")
    report = convert_checkpoint("facevid2vid", tmp_path / "vox.pth.tar.pth", tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert render(loaded).equal(render(parts))
    image = torch.rand(1, 3, 64, 64)
    assert loaded["discriminator"](image).equal(parts["discriminator"](image))
    assert report.ignored == ("optimizer_generator.state.0.exp_avg",)
    assert set(report.dropped) == {facevid2vid.FILTER}
    assert "CC BY-NC 4.0" in report.licence


Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def without(name: str) -> Change:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("detector.stages.2.8.grn.gamma"), "missing detector.stages.2.8.grn.gamma"),
        (without("up_1.norm_s.mlp_gamma.weight"), "missing up_1.norm_s.mlp_gamma.weight"),
        (without("dense_motion_network.mask.bias"), "missing dense_motion_network.mask.bias"),
        (without("retarget_eye.mlp.0.bias"), "missing retarget_eye.mlp.0.bias"),
        (without("second.weight"), "lacks second.weight"),
        (without("detector.fc_kp.bias"), "lacks detector.fc_kp"),
        (lambda t: {**t, "fifth.weight": torch.zeros(1)}, "unknown tensors fifth.weight"),
        (lambda t: {**t, "second.bias": torch.zeros(7)}, r"second.bias is \(7,\), wanted \(16,\)"),
    ],
)
def test_another_liveportrait_is_refused_naming_what_differs(living, change, named):
    with pytest.raises(WeightsError, match=named):
        parts_from_checkpoint("liveportrait", change(living[1]))


def test_a_renderer_of_another_number_of_keypoints_is_refused_with_both(living):
    motion = tensors_of(LivePortraitMotion(**SMALL, keypoints=15), liveportrait.MOTION)
    tensors = {name: tensor for name, tensor in living[1].items() if not name.startswith("retarget_")}
    with pytest.raises(WeightsError, match="places 15 keypoints and its renderer moves 21"):
        parts_from_checkpoint("liveportrait", {**tensors, **motion})


def test_a_folder_of_two_models_is_refused(living, tmp_path):
    for name in ("human", "animal"):
        published_folder(tmp_path / name, living[1])
    with pytest.raises(WeightsError, match="is there twice"):
        convert_checkpoint("liveportrait", tmp_path, tmp_path / "model")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no weight file"):
        convert_checkpoint("liveportrait", tmp_path, tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("he_estimator.block5.b5_3.norm2.running_var"), "missing he_estimator.block5.b5_3.norm2.running_var"),
        (without("kp_detector.predictor.up_blocks.up2.conv.bias"), "predictor.up_blocks.up2.conv.bias"),
        (without("generator.resblocks_2d.2dr4.conv1.weight"), "missing generator.resblocks_2d.2dr4.conv1.weight"),
        (without("kp_detector.kp.bias"), "lacks kp_detector.kp.bias"),
        (without("kp_detector.down.weight"), "beta version"),
        (lambda t: {**t, "generator.extra": torch.zeros(1)}, "unknown tensors generator.extra"),
    ],
)
def test_another_facevid2vid_is_refused_naming_what_differs(change, named):
    with pytest.raises(WeightsError, match=named):
        parts_from_checkpoint("facevid2vid", change(open_facevid2vid("plain")[1]))
