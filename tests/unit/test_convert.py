"""Published checkpoints of LIA and AniTalker: every layout is read, anything else is refused by name."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from talkingface.cli.main import main
from talkingface.convert import convert_checkpoint, parts_from_checkpoint
from talkingface.convert import lia as names
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.core.nn.fir import TAPS
from talkingface.hub import load_model
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer

SMALL = {"size": 64, "width": 0.125}


def published(theirs: dict[str, str], part: torch.nn.Module) -> dict[str, Tensor]:
    """A part's weights under published names and with the published axes of length 1."""
    state, tensors = part.state_dict(), {}
    for name, ours in theirs.items():
        tensor = state[ours].contiguous().clone()
        if name.endswith(".bias") and not (".fc" in name or "modulation" in name or "linear" in name or "net_" in name):
            tensor = tensor[None, :, None, None]
        elif name.startswith(("dec.conv", "dec.to_flows")) and name.endswith("conv.weight"):
            tensor = (tensor if tensor.ndim == 4 else tensor[..., None, None])[None]
        tensors[name] = tensor
    return tensors


def generator(hal: bool, dim: int = 6) -> dict[str, Tensor]:
    """A small generator in the published layout, with the tensors that have no effect."""
    torch.manual_seed(0)
    motion = LatentMotion(**SMALL, code_dim=64, dim=dim, hal=hal, decouple=hal)
    tensors = published(names.encoder_names(64, 1, hal, hal), motion)
    tensors |= published(names.renderer_names(64), LIARenderer(motion, **SMALL))
    tensors |= {"dec.conv1.noise.weight": torch.zeros(1), "dec.to_rgb1.bias": torch.zeros(1, 3, 1, 1)}
    return tensors | {"dec.convs.0.conv.blur.kernel": 4 * torch.outer(TAPS, TAPS)}


@pytest.fixture
def lia() -> dict[str, Tensor]:
    return generator(hal=False)


@pytest.fixture
def anitalker() -> dict[str, Tensor]:
    return generator(hal=True)


def render(parts: dict[str, Any]) -> Tensor:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        source = parts["renderer"].appearance(image)
        return parts["renderer"](source, -source.motion).image


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


LAYOUTS = {
    "flat": lambda t: t,
    "gen level": lambda t: {"gen": t, "g_optim": {"state": {0: {"exp_avg": torch.zeros(1)}}}},
    "state_dict level": lambda t: {"state_dict": t, "epoch": 3},
    "module prefix": lambda t: {"gen": prefixed("module.", t)},
    "lia prefix": lambda t: prefixed("lia.", t),
    "lightning": lambda t: {"state_dict": prefixed("lia.", t), "loops": {}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".pth"])
def test_every_layout_gives_the_same_model(lia, tmp_path, layout, suffix):
    torch.save(LAYOUTS[layout](lia), tmp_path / f"lia{suffix}")
    convert_checkpoint("lia", tmp_path / f"lia{suffix}", tmp_path / "model")
    assert render(load_model(tmp_path / "model")).equal(render(parts_from_checkpoint("lia", lia)))


def test_safetensors_are_read(anitalker, tmp_path):
    save_file(anitalker, tmp_path / "stage1.safetensors")
    convert_checkpoint("anitalker", tmp_path / "stage1.safetensors", tmp_path / "model")
    assert render(load_model(tmp_path / "model")).equal(render(parts_from_checkpoint("anitalker", anitalker)))


def test_conversion_carries_the_weights_over(lia):
    """Control of the equalities above: other weights render another picture."""
    other = {name: 1.1 * tensor if name.endswith("to_rgbs.3.bias") else tensor for name, tensor in lia.items()}
    other["dec.to_rgbs.3.bias"] = lia["dec.to_rgbs.3.bias"] + 0.5
    torch.testing.assert_close(
        render(parts_from_checkpoint("lia", other)), render(parts_from_checkpoint("lia", lia)) + 0.5
    )


def test_training_arguments_in_a_published_file_are_no_obstacle(lia, tmp_path):
    torch.save({"gen": lia, "args": argparse.Namespace(size=64)}, tmp_path / "vox.pt")
    assert convert_checkpoint("lia", tmp_path / "vox.pt", tmp_path / "model").settings["size"] == 64


def test_discriminator_comes_along(lia, tmp_path):
    judge = LIADiscriminator(**SMALL)
    torch.save({"gen": lia, "dis": published(names.discriminator_names(64), judge)}, tmp_path / "lia.pt")
    convert_checkpoint("lia", tmp_path / "lia.pt", tmp_path / "model")
    image = torch.randn(2, 3, 64, 64)
    assert load_model(tmp_path / "model")["discriminator"](image).equal(judge(image))


def test_settings_are_read_off_the_shapes(tmp_path):
    torch.save(generator(hal=True, dim=11), tmp_path / "a.ckpt")
    report = convert_checkpoint("anitalker", tmp_path / "a.ckpt", tmp_path / "model")
    expected = {**SMALL, "dim": 11, "code_dim": 64, "hal": True, "decouple": True, "projector": "lmd"}
    assert report.settings == expected


def test_report_says_what_was_left_out_and_on_what_terms(lia, tmp_path):
    torch.save({"gen": lia, "g_optim": {"lr": torch.zeros(1)}}, tmp_path / "lia.pt")
    report = convert_checkpoint("lia", tmp_path / "lia.pt", tmp_path / "model")
    assert set(report.dropped) == {"dec.conv1.noise.weight", "dec.to_rgb1.bias", "dec.convs.0.conv.blur.kernel"}
    assert report.ignored == ("g_optim.lr",)
    assert "CC BY-NC 4.0" in report.licence
    assert "CC BY-NC 4.0" in (tmp_path / "model" / "README.md").read_text()
    assert set(report.parameters) == {"motion_encoder", "renderer"}


def without(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: without("enc.fc.2.bias", t), "missing enc.fc.2.bias"),
        (lambda t: {**t, "dec.extra.weight": torch.zeros(1)}, "unknown tensors dec.extra.weight"),
        (lambda t: {**t, "enc.fc.4.weight": torch.zeros(7, 64)}, r"enc.fc.4.weight is \(7, 64\), wanted \(6, 64\)"),
        (lambda t: {**t, "dec.convs.0.conv.blur.kernel": torch.ones(4, 4)}, "dec.convs.0.conv.blur.kernel is another"),
        (lambda t: without("dec.direction.weight", t), "lacks dec.direction.weight"),
        (lambda t: {"kp_extractor.fc.weight": torch.zeros(2, 2)}, "kp_extractor.fc.weight"),
        (lambda t: without("enc.net_app.convs.0.0.weight", t), "convs.0.0.weight"),
    ],
)
def test_another_architecture_is_refused_naming_what_differs(lia, change, named):
    with pytest.raises(WeightsError, match=named):
        parts_from_checkpoint("lia", change(lia))


def test_a_checkpoint_of_the_other_family_is_told_apart(lia, anitalker):
    with pytest.raises(WeightsError, match="AniTalker's stage 1"):
        parts_from_checkpoint("lia", anitalker)
    with pytest.raises(WeightsError, match="is a checkpoint of LIA"):
        parts_from_checkpoint("anitalker", lia)


def test_unknown_family_lists_the_known_ones(lia):
    known = "anitalker, anitalker-stage2, controltalk, liveportrait, wav2lip-expert, facevid2vid, lia"
    with pytest.raises(ConfigError, match=known):
        parts_from_checkpoint("anitalk", lia)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"gen": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(WeightsError, match="refused"):
        convert_checkpoint("lia", tmp_path / "bomb.pt", tmp_path / "model")
    assert not Path("exploded").exists()
    assert not (tmp_path / "model").exists()
    pickle.loads(pickle.dumps(Bomb()))  # the control: it would have gone off
    assert Path("exploded").exists()


def test_conversion_leaves_the_random_numbers_alone(lia):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    parts_from_checkpoint("lia", lia)
    assert torch.rand(3).equal(expected)


def test_the_command_converts_and_says_on_what_terms(lia, tmp_path, capsys):
    torch.save({"gen": lia}, tmp_path / "vox.pt")
    assert main(["convert", "lia", str(tmp_path / "vox.pt"), str(tmp_path / "model")]) == 0
    assert "CC BY-NC" in "".join(capsys.readouterr())
    assert render(load_model(tmp_path / "model")).equal(render(parts_from_checkpoint("lia", lia)))
