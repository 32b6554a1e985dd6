"""AniTalker's published stage 2: five variants are told apart, anything else is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.audio import HubertSpeech, MFCCSpeech
from talkingface.cli.main import main
from talkingface.convert import anitalker_stage2 as names
from talkingface.convert import convert_checkpoint, parts_from_checkpoint
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.core.records import Condition
from talkingface.generators import ConformerDiffusion
from talkingface.hub import load_model, save_model
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer

WIDTH, CODE, HEARD, FRAMES = 6, 32, 16, 5
VARIANTS = {
    "mfcc_pose_only": ("mfcc", ["pose"]),
    "mfcc_full_control": ("mfcc", ["location", "scale", "pose"]),
    "hubert_audio_only": ("hubert", []),
    "hubert_pose_only": ("hubert", ["pose"]),
    "hubert_full_control": ("hubert", ["location", "scale", "pose"]),
}
Tensors = dict[str, Tensor]


def motion(dim: int = WIDTH) -> LatentMotion:
    return LatentMotion(size=64, width=0.125, code_dim=CODE, dim=dim)


def parts(variant: str) -> dict[str, Any]:
    """A small audio encoder and generator of a variant."""
    torch.manual_seed(0)
    kind, attributes = VARIANTS[variant]
    audio = HubertSpeech(dim=HEARD, blocks=2) if kind == "hubert" else MFCCSpeech(dim=HEARD)
    generator = ConformerDiffusion(motion(), audio, dim=32, blocks=1, static=4, hidden=5, attributes=attributes)
    return {"audio_encoder": audio.eval(), "motion_generator": generator.eval()}


def published(variant: str) -> Tensors:
    """The same in the published layout: weights of the last step, their averages, and a leftover."""
    kind, attributes = VARIANTS[variant]
    ours = parts(variant)
    tensors = {}
    for part, theirs in (
        ("audio_encoder", names.audio_names(kind, 2 if kind == "hubert" else 0)),
        ("motion_generator", names.generator_names(attributes, 1)),
    ):
        state = ours[part].state_dict()
        for name, mine in theirs.items():
            tensor = state[mine].clone()
            tensors[f"ema_model.{name}"] = (
                tensor[..., None] if "pointwise_conv" in name and tensor.ndim == 2 else tensor
            )
            tensors[f"model.{name}"] = torch.full_like(tensor, 7)
    return {"x_T": torch.zeros(2, 3, 4, 4), **tensors}


def sample(found: dict[str, Any]) -> Tensor:
    audio, generator = found["audio_encoder"], found["motion_generator"]
    draw = torch.Generator().manual_seed(3)
    features = torch.randn(1, audio.layers, FRAMES * audio.rate // 25, audio.channels, generator=draw)
    start, portrait = torch.zeros(1, WIDTH), torch.randn(1, CODE, generator=draw)
    with torch.no_grad():
        return generator.sample(Condition(audio(features, FRAMES), start, portrait), draw, steps=5)


@pytest.fixture
def stage1(tmp_path: Path) -> Path:
    encoder = motion()
    save_model(
        tmp_path / "stage1", {"motion_encoder": encoder, "renderer": LIARenderer(encoder, size=64, width=0.125)}, {}
    )
    return tmp_path / "stage1"


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_recognised_and_carried_over(variant):
    found = parts_from_checkpoint("anitalker-stage2", published(variant), motion())
    assert found["motion_generator"].attributes == tuple(VARIANTS[variant][1])
    assert names.variant(names.averaged_weights(published(variant))[0]).name == variant
    assert sample(found).equal(sample(parts(variant)))


def test_other_averages_make_other_motion():
    """Control of the equality above."""
    tensors = published("mfcc_pose_only")
    tensors["ema_model.out_proj.bias"] = tensors["ema_model.out_proj.bias"] + 0.5
    found = parts_from_checkpoint("anitalker-stage2", tensors, motion())
    assert not torch.allclose(sample(found), sample(parts("mfcc_pose_only")))


def test_the_speech_network_is_the_one_that_the_weights_were_trained_with():
    found = parts_from_checkpoint("anitalker-stage2", published("hubert_audio_only"), motion())
    assert found["audio_encoder"].config["init_args"]["network"] == "chinese-hubert-large"


def test_training_goes_on_in_the_published_range():
    generator = parts_from_checkpoint("anitalker-stage2", published("mfcc_pose_only"), motion())["motion_generator"]
    generator.calibrate(5 + torch.randn(100, WIDTH))
    assert generator.motion_range.normalise(torch.ones(WIDTH)).equal(torch.ones(WIDTH))
    fresh = parts("mfcc_pose_only")["motion_generator"]  # the control
    fresh.calibrate(5 + torch.randn(100, WIDTH))
    assert not fresh.motion_range.normalise(torch.ones(WIDTH)).equal(torch.ones(WIDTH))


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"state_dict": t, "epoch": 3}])
def test_the_command_makes_a_whole_model(stage1, tmp_path, capsys, wrap):
    torch.save(wrap(published("hubert_pose_only")), tmp_path / "stage2.ckpt")
    arguments = [str(tmp_path / "stage2.ckpt"), str(tmp_path / "model"), "--stage1", str(stage1)]
    assert main(["convert", "anitalker-stage2", *arguments]) == 0
    assert "treat converted weights as non-commercial" in "".join(capsys.readouterr())
    model = load_model(tmp_path / "model")
    assert set(model) == {"motion_encoder", "renderer", "audio_encoder", "motion_generator"}
    assert sample(model).equal(sample(parts("hubert_pose_only")))
    assert "variant hubert_pose_only" in (tmp_path / "model" / "README.md").read_text()


def test_report_says_what_was_left_out(stage1, tmp_path):
    tensors = published("mfcc_pose_only")
    torch.save(tensors, tmp_path / "stage2.ckpt")
    report = convert_checkpoint("anitalker-stage2", tmp_path / "stage2.ckpt", tmp_path / "model", stage1)
    assert set(report.dropped) == {name for name in tensors if not name.startswith("ema_model.")}
    assert report.settings["attributes"] == ["pose"]
    assert "non-commercial" in report.licence


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: {n: v for n, v in t.items() if n != "ema_model.out_proj.bias"}, "missing out_proj.bias"),
        (lambda t: {**t, "ema_model.extra": torch.zeros(1)}, "unknown tensors extra"),
        (lambda t: {**t, "ema_model.t_encoder.0.bias": torch.zeros(9)}, r"t_encoder.0.bias is \(9,\), wanted \(4,\)"),
        (lambda t: {**t, "optimizer.state": torch.zeros(1)}, "it has optimizer.state"),
        (
            lambda t: {n: v for n, v in t.items() if not n.startswith("ema_model.")},
            "no checkpoint of AniTalker's stage 2",
        ),
        (lambda t: {n: v for n, v in t.items() if "down_sample2" not in n}, "ema_model.down_sample2.weight is missing"),
        (lambda t: {n: v for n, v in t.items() if "pose_encoder.lstm" not in n}, "missing pose_encoder.lstm"),
    ],
)
def test_another_architecture_is_refused_naming_what_differs(change, named):
    with pytest.raises(WeightsError, match=named):
        parts_from_checkpoint("anitalker-stage2", change(published("mfcc_pose_only")), motion())


def test_a_stage_1_of_another_motion_is_refused():
    with pytest.raises(WeightsError, match=r"encoder_direction_code.weight is \(4, 6\), wanted \(4, 7\)"):
        parts_from_checkpoint("anitalker-stage2", published("mfcc_pose_only"), motion(dim=7))


def test_a_stage_1_is_asked_for_where_it_is_needed_and_only_there(stage1, tmp_path):
    with pytest.raises(ConfigError, match="needs the stage 1 that it was trained on"):
        convert_checkpoint("anitalker-stage2", tmp_path / "stage2.ckpt", tmp_path / "model")
    with pytest.raises(ConfigError, match="takes no stage 1"):
        convert_checkpoint("lia", tmp_path / "vox.pt", tmp_path / "model", stage1)


def test_a_model_without_pictures_is_no_stage_1(tmp_path):
    save_model(tmp_path / "half", {"motion_encoder": motion()}, {})
    with pytest.raises(WeightsError, match="half has no renderer"):
        convert_checkpoint("anitalker-stage2", tmp_path / "stage2.ckpt", tmp_path / "model", tmp_path / "half")
