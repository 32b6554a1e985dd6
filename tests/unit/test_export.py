"""What a model of stage 2 takes along from its stage 1."""

from pathlib import Path

import torch

from talkingface.audio import MelSpeech
from talkingface.core.provenance import CHECKPOINT_FORMAT
from talkingface.generators import Regression
from talkingface.hub import load_model, save_model
from talkingface.motion import LivePortraitMotion, Retargeting
from talkingface.pipelines.animator import load
from talkingface.pipelines.export import export_checkpoint
from talkingface.renderers import FaceVid2VidRenderer
from talkingface.weights import sha256


def test_stitching_of_stage_1_is_exported_with_stage_2(tmp_path: Path):
    motion = LivePortraitMotion(size=64, width=0.0625, keypoints=15)
    renderer = FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=2)
    retargeting = Retargeting(keypoints=15)
    torch.nn.init.normal_(retargeting.stitching[-1].weight)
    stage1 = {"motion_encoder": motion, "renderer": renderer, "retargeting": retargeting}
    save_model(tmp_path / "stage1", stage1, {})
    hearing = MelSpeech(dim=8, blocks=0)
    trained = {"audio_encoder": hearing, "motion_generator": Regression(motion, hearing)}
    state = {f"{name}.{key}": value for name, part in trained.items() for key, value in part.state_dict().items()}
    origin = {
        "folder": str(tmp_path / "stage1"),
        "sha256": sha256(tmp_path / "stage1" / "motion_encoder" / "model.safetensors"),
    }
    about = {"format": CHECKPOINT_FORMAT, "parts": {name: part.config for name, part in trained.items()}}
    torch.save({"state_dict": state, "talkingface": about | {"representation": origin}}, tmp_path / "last.ckpt")

    export_checkpoint(tmp_path / "last.ckpt", tmp_path / "model")
    exported = load_model(tmp_path / "model")
    assert set(exported) == {*stage1, *trained}
    assert torch.equal(exported["retargeting"].stitching[-1].weight, retargeting.stitching[-1].weight)
    assert load(tmp_path / "model", device="cpu").retargeting is not None
