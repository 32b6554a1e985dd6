"""A training run that takes seconds; also a script, so that Lightning can start it in several processes.

python tiny_run.py OUT.json DEVICES BATCH EPOCHS [CHECKPOINT]
"""

import json
import sys
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from talkingface.data import SyntheticPairs
from talkingface.losses import AAMSoftmax, CLUBSample
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer
from talkingface.tasks import Adam, IdentityLosses, Reconstruction

TINY = {"size": 64, "width": 0.0625}


class LossCurve(L.Callback):
    """Mean loss over processes at every step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.values.append(float(trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")))


def data(batch, candidates=False):
    sizes = {"size": 64, "identities": 6, "clips_per_identity": 1, "frames": 10}
    return SyntheticPairs(**sizes, batch_size=batch, pairs_per_clip=4, val_pairs_per_clip=3, candidates=candidates)


def decoupling(encoder):
    """Identity losses whose bound counts from the third step."""
    return IdentityLosses(encoder, lambda width: AAMSoftmax(width, 4), lambda x, y: CLUBSample(x, y, 8), warmup=(2, 4))


def task(adversarial=False, identity=False):
    torch.manual_seed(0)
    weights = {"l1": 1.0, "pyramid": 1.0, "adversarial": 0.1 * adversarial}
    weights |= {"metric": 0.1 * identity, "mutual_information": float(identity)}
    return Reconstruction(
        LatentMotion(code_dim=32, dim=4, **TINY),
        lambda motion: LIARenderer(motion, **TINY),
        discriminator=LIADiscriminator(**TINY),
        identity=decoupling,
        loss_weights=weights,
        generator=Adam(1e-3),
    )


def run(folder, epochs, batch=4, devices=1, checkpoint=None, adversarial=False, identity=False, ema=False, **options):
    """Train; returns the trainer and the loss curve."""
    curve = LossCurve()
    callbacks = [curve, ModelCheckpoint(dirpath=folder, save_top_k=-1, filename="{epoch}")]
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
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(task(adversarial, identity), data(batch, identity), ckpt_path=checkpoint, weights_only=True)
    return trainer, curve.values


if __name__ == "__main__":
    out, devices, batch, epochs = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    torch.set_num_threads(1)
    trainer, values = run(out.parent / f"devices{devices}", epochs, batch, devices)
    quality = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    if trainer.is_global_zero:
        out.write_text(json.dumps({"loss": values, "quality": quality}))
