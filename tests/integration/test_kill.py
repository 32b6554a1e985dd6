"""A training that is killed goes on where its last checkpoint was, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from talkingface.core.tensors import read_tensors

OPTIONS = {
    "data.identities": 4,
    "data.clips_per_identity": 1,
    "data.frames": 4,
    "data.batch_size": 4,
    "data.pairs_per_clip": 96,
    "trainer.logger": "false",
    "trainer.callbacks": "lightning.pytorch.callbacks.EMAWeightAveraging",
    "trainer.callbacks.decay": 0.9,
    "trainer.num_sanity_val_steps": 0,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.enable_progress_bar": "false",
}


def start(folder: Path, epochs: int, *more: str) -> "subprocess.Popen[bytes]":
    options = [part for name, value in OPTIONS.items() for part in (f"--{name}", str(value))]
    command = ["fit", "-c", "anitalker-tiny-stage1", *options, "--trainer.max_epochs", str(epochs), *more]
    environment = os.environ | {"TALKINGFACE_CACHE": str(folder.parent / "cache"), "OMP_NUM_THREADS": "1"}
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "talkingface", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)


def test_a_killed_run_resumes_from_its_last_checkpoint_bit_for_bit(tmp_path):
    assert start(tmp_path / "straight", 3).wait(timeout=300) == 0
    victim = start(tmp_path / "killed", 100)
    deadline = time.monotonic() + 200
    while not checkpoints(tmp_path / "killed") and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait(timeout=60) == -signal.SIGKILL
    survivor = read_tensors(checkpoints(tmp_path / "killed")[-1])  # whole, although the process died
    assert survivor["epoch"] < 2, "the machine was too fast for this test: raise pairs_per_clip"

    assert start(tmp_path / "killed", 3, "--ckpt_path", "last").wait(timeout=300) == 0
    straight, resumed = (read_tensors(checkpoints(tmp_path / name)[-1]) for name in ("straight", "killed"))
    assert resumed["epoch"] == straight["epoch"] == 2
    for kind in ("state_dict", "current_model_state"):  # the average, and the weights themselves
        different = [name for name, value in straight[kind].items() if not torch.equal(value, resumed[kind][name])]
        assert different == []
    assert any(not torch.equal(value, survivor["state_dict"][name]) for name, value in straight["state_dict"].items())
