"""ControlTalk's layout at a small size: read through its levels, refused where it does not fit."""

from itertools import pairwise

import pytest
import torch

from talkingface.convert import convert_checkpoint, parts_from_checkpoint
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.hub import save_model
from talkingface.motion import FaceVid2VidMotion
from talkingface.pipelines import load
from talkingface.renderers import FaceVid2VidRenderer

WIDTHS = (18 * 4, 6, 5, 4, 8)


@pytest.fixture(scope="module")
def motion():
    return FaceVid2VidMotion(keypoints=15, size=64, width=0.0625, depth=2)


def checkpoint(keypoints=15):
    torch.manual_seed(0)
    tensors = {}
    for number, (inside, out) in enumerate(pairwise(WIDTHS), start=1):
        start = f"audio_encoder.fc{number}."
        tensors |= {f"{start}projection.weight": torch.randn(out, inside), f"{start}projection.bias": torch.randn(out)}
        tensors |= {f"{start}fc.weight": torch.randn(out, out), f"{start}fc.bias": torch.randn(out)}
        tensors |= {f"{start}layer_norm.weight": torch.randn(out), f"{start}layer_norm.bias": torch.randn(out)}
    wide = 3 * keypoints
    return tensors | {"out_fc.weight": torch.randn(wide, wide + 8), "out_fc.bias": torch.randn(wide)}


def test_sizes_are_read_off_the_tensors(motion):
    parts = parts_from_checkpoint("controltalk", checkpoint(), motion)
    audio, generator = parts["audio_encoder"], parts["motion_generator"]
    assert (audio.dim, audio.channels, audio.rate) == (8, 72, 25)
    assert generator.mouth == 0.7
    assert generator.motion_range.known


def test_levels_around_the_names_do_not_matter(motion):
    plain = parts_from_checkpoint("controltalk", checkpoint(), motion)
    tree = {"state_dict": {f"module.{name}": tensor for name, tensor in checkpoint().items()}}
    nested = parts_from_checkpoint("controltalk", tree, motion)
    for part in ("audio_encoder", "motion_generator"):
        ours, theirs = plain[part].state_dict(), nested[part].state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_missing_is_named(motion):
    without = checkpoint()
    del without["audio_encoder.fc3.fc.weight"]
    with pytest.raises(WeightsError, match=r"missing audio_encoder\.fc3\.fc\.weight"):
        parts_from_checkpoint("controltalk", without, motion)
    with pytest.raises(WeightsError, match="no lipControlNet"):
        parts_from_checkpoint("controltalk", {"x.weight": torch.zeros(1)}, motion)


def test_another_number_of_keypoints_is_refused_with_both(motion):
    with pytest.raises(WeightsError, match=r"60 numbers \(20 keypoints\), and that of the stage 1 has 45"):
        parts_from_checkpoint("controltalk", checkpoint(20), motion)


def test_a_converted_model_has_its_stage_1_and_can_be_loaded(motion, tmp_path):
    renderer = FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=2)
    save_model(tmp_path / "stage1", {"motion_encoder": motion, "renderer": renderer}, {})
    torch.save(checkpoint(), tmp_path / "lipControlNet.pt")
    report = convert_checkpoint("controltalk", tmp_path / "lipControlNet.pt", tmp_path / "model", tmp_path / "stage1")
    assert report.settings == {"mouth": 0.7}
    assert "CC BY-NC" in report.licence
    animator = load(tmp_path / "model", "cpu")
    _, generator = animator.speech_parts()
    assert torch.equal(generator.zero.bias, checkpoint()["out_fc.bias"])


def test_stage_1_is_needed():
    with pytest.raises(ConfigError, match="needs a motion encoder"):
        parts_from_checkpoint("controltalk", checkpoint())
