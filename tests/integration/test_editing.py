"""ControlTalk's training, from synthetic clips to a model that speaks: it resumes exactly, and is exported."""

import numpy as np
import pytest
import torch

import talkingface
from integration.generation_run import run
from talkingface.audio import MelSpeech
from talkingface.core.tensors import read_tensors
from talkingface.data import SyntheticEdits
from talkingface.generators import Audio2Exp
from talkingface.hub import save_model
from talkingface.losses import LipSyncLoss, SyncExpert
from talkingface.motion import FaceVid2VidMotion
from talkingface.pipelines.export import export_checkpoint
from talkingface.renderers import FaceVid2VidRenderer
from talkingface.tasks import Adam, Editing

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A stage 1 and an expert, both untrained."""
    folder = tmp_path_factory.mktemp("folders")
    torch.manual_seed(0)
    motion = FaceVid2VidMotion(size=SIZE, width=0.0625, depth=2)
    renderer = FaceVid2VidRenderer(motion, size=SIZE, width=0.0625, depth=2)
    save_model(folder / "stage1", {"motion_encoder": motion, "renderer": renderer}, {})
    save_model(folder / "expert", {"sync_expert": SyncExpert(width=0.0625)}, {})
    return folder


def clips():
    settings = {"identities": 6, "clips_per_identity": 1, "clip_frames": 20, "context": 2, "batch_size": 2}
    return SyntheticEdits(size=SIZE, windows_per_clip=2, val_windows_per_clip=1, **settings)


def task(folders):
    torch.manual_seed(0)
    return Editing(
        str(folders / "stage1"),
        MelSpeech(dim=8, blocks=0),
        Audio2Exp,
        LipSyncLoss(expert=str(folders / "expert")),
        loss_weights={"pyramid": 1.0, "sync": 0.3},
        rise=2,
        optimizer=Adam(1e-2),
    )


def test_one_epoch_and_one_more_equal_two_bit_for_bit_and_the_export_speaks(folders, tmp_path):
    straight = run(task(folders), tmp_path / "straight", 2, clips=clips())
    run(task(folders), tmp_path / "parts", 1, clips=clips())
    resumed = run(task(folders), tmp_path / "parts", 2, checkpoint=tmp_path / "parts" / "epoch=0.ckpt", clips=clips())
    once, twice = (trainer.lightning_module.state_dict() for trainer in (straight, resumed))
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert once["motion_generator.zero.weight"].any()  # it has left the zero that it started from
    shown = {name for name in straight.callback_metrics if name.startswith("val/sync")}
    assert shown == {"val/sync", "val/sync_closed", "val/sync_unedited"}

    checkpoint = tmp_path / "straight" / "epoch=1.ckpt"
    saved = read_tensors(checkpoint)["state_dict"]
    assert {name.split(".")[0] for name in saved} == {"audio_encoder", "motion_generator"}
    export_checkpoint(checkpoint, tmp_path / "model")
    animator = talkingface.load(tmp_path / "model", "cpu")
    sound = 0.1 * np.random.default_rng(0).standard_normal(6400).astype(np.float32)
    portrait = np.full((SIZE, SIZE, 3), 90, np.uint8)
    closed, wide = (animator.animate(portrait, audio=sound, crop="none", mouth=alpha).motion for alpha in (0, 3))
    assert not torch.equal(*(torch.cat(list(motion.stream(4))) for motion in (closed, wide)))
