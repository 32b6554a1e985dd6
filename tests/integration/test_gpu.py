"""What needs a CUDA device: the same numbers, and a training step."""

import pytest
import torch

from integration.tiny_run import data, task
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none"),
]


@pytest.mark.parametrize("size", [64, 256])
def test_a_gpu_renders_what_the_processor_does(size):
    torch.manual_seed(0)
    encoder = LatentMotion(size=size, width=0.25)
    renderer = LIARenderer(encoder, size=size, width=0.25)
    source, driving = (torch.rand(2, 3, size, size) * 2 - 1 for _ in range(2))
    pictures = []
    for device in ("cpu", "cuda"):
        encoder.to(device)
        renderer.to(device)
        with torch.no_grad():
            appearance = renderer.appearance(source.to(device))
            pictures.append(renderer(appearance, encoder(driving.to(device))).image.cpu())
    assert (pictures[0] - pictures[1]).abs().max() < 1e-3


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_trains(precision, tmp_path, tmp_path_factory, monkeypatch):
    import lightning as L

    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        max_epochs=1,
        accelerator="gpu",
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task(adversarial=True), data(4))
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
