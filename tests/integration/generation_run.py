"""A stage-2 run that takes seconds; also a script, so that Lightning can start it in several processes.

python generation_run.py FOLDER DEVICES
"""

import json
import sys
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from talkingface.audio import MelSpeech
from talkingface.data import SyntheticClips
from talkingface.generators import ConformerDiffusion
from talkingface.hub import save_model
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer
from talkingface.tasks import Adam, Generation

TINY = {"size": 64, "width": 0.0625}


def representation(folder, seed=0):
    """A model folder of an untrained stage 1."""
    torch.manual_seed(seed)
    motion = LatentMotion(code_dim=32, dim=4, **TINY)
    save_model(folder, {"motion_encoder": motion, "renderer": LIARenderer(motion, **TINY)}, {})
    return folder


def data(**changes):
    settings = {"identities": 6, "clips_per_identity": 1, "clip_frames": 16, "frames": 10, "batch_size": 2}
    return SyntheticClips(**{"size": 64, **settings, "windows_per_clip": 2, "val_windows_per_clip": 2, **changes})


def task(folder, dropout=0.1, **changes):
    torch.manual_seed(0)
    settings = {
        "audio_encoder": MelSpeech(dim=8, blocks=1, dropout=dropout),
        "motion_generator": lambda motion, audio: ConformerDiffusion(
            motion, audio, dim=24, blocks=1, static=4, hidden=4, dropout=dropout, teacher_forcing=True
        ),
        "optimizer": Adam(1e-3),
    }
    return Generation(str(folder), **{**settings, **changes})


def run(module, folder, epochs, devices=1, checkpoint=None, ema=False, clips=None, **options):
    """Train; returns the trainer."""
    callbacks = [ModelCheckpoint(dirpath=folder, save_top_k=-1, filename="{epoch}")]
    callbacks += [EMAWeightAveraging(decay=0.9)] if ema else []
    trainer = L.Trainer(
        default_root_dir=folder,
        max_epochs=epochs,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"num_sanity_val_steps": 0, **options},
    )
    trainer.fit(module, clips or data(), ckpt_path=checkpoint, weights_only=True)
    return trainer


if __name__ == "__main__":
    folder, devices = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    trainer = run(task(folder / "stage1"), folder / "run", 2, devices)
    total = sum(float(p.detach().double().sum()) for p in trainer.lightning_module.parameters())
    (folder / f"rank{trainer.global_rank}.json").write_text(json.dumps({"sum": total, "steps": trainer.global_step}))
