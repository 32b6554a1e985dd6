"""A minute of training makes people move that were never seen; without their own motion they do not."""

import lightning as L
import pytest
import torch

from talkingface.data import SyntheticPairs
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer
from talkingface.tasks import Adam, Reconstruction

TINY = {"size": 64, "width": 0.0625}


@pytest.fixture(scope="module")
def quality(tmp_path_factory):
    """What the trained model logs about unseen people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        L.seed_everything(0, verbose=False)
        task = Reconstruction(
            LatentMotion(code_dim=64, **TINY),
            lambda motion: LIARenderer(motion, **TINY),
            loss_weights={"l1": 1.0, "pyramid": 1.0},
            generator=Adam(5e-3, (0.5, 0.99)),
        )
        data = SyntheticPairs(size=64, identities=24, clips_per_identity=2, frames=50, batch_size=8, pairs_per_clip=20)
        trainer = L.Trainer(
            max_epochs=8,
            check_val_every_n_epoch=8,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(task, data)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.slow
def test_unseen_people_move_better_than_a_copy_of_the_source(quality):
    assert quality["val/psnr"] > quality["val/psnr_copy"] + 1.0
    assert quality["val/ssim"] > quality["val/ssim_copy"]


@pytest.mark.slow
def test_it_is_the_driving_frame_that_moves_them(quality):
    assert quality["val/psnr_shuffled"] < quality["val/psnr"] - 1.0
    assert quality["val/ssim_shuffled"] < quality["val/ssim"]


@pytest.mark.slow
def test_the_truth_is_the_ceiling(quality):
    assert quality["val/psnr_truth"] == 100.0
    assert torch.isfinite(torch.tensor(list(quality.values()))).all()
