"""What share of a stage-2 training step waits for data: ``python benchmarks/clip_wait.py [--paper]``.

The tiny model on rendered heads with mel speech, encoded before; a step waits from the end of the one before until it
is given its batch. ``--paper`` asks how fast batches of the paper's size come: 64 windows with 25 layers of 1024
channels each, from random features, and how long a step must therefore last to wait for less than 5 % of it.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from talkingface.audio import MelSpeech
from talkingface.data import SyntheticClips
from talkingface.data.tracks import ClipTracks
from talkingface.data.windows import WindowDataset
from talkingface.generators import ConformerDiffusion
from talkingface.hub import save_model
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer
from talkingface.tasks import Generation

WARM_UP, STEPS = 5, 60
FRAMES, BATCH, LAYERS, CHANNELS, CODE = 125, 64, 25, 1024, 512  # of the paper


class Waiting(L.Callback):
    """Seconds spent on waiting for batches and on computing, after a warm-up."""

    def __init__(self) -> None:
        self.waited = self.computed = 0.0
        self.steps = 0
        self._mark = time.perf_counter()

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch is there."""
        self._pass(waited=True)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *unused: Any) -> None:
        """The step is done."""
        self._pass(waited=False)
        self.steps += 1

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """What lies between epochs is no waiting of a step."""
        self._mark = time.perf_counter()

    def _pass(self, waited: bool) -> None:
        now = time.perf_counter()
        if self.steps >= WARM_UP:
            self.waited += (now - self._mark) * waited
            self.computed += (now - self._mark) * (not waited)
        self._mark = now


def tiny(workers: int) -> str:
    """Train the tiny model for some steps."""
    torch.manual_seed(0)
    encoder = LatentMotion(size=64, width=0.0625, code_dim=32, dim=6)
    waiting = Waiting()
    with tempfile.TemporaryDirectory() as folder:
        renderer = LIARenderer(encoder, size=64, width=0.0625)
        save_model(folder, {"motion_encoder": encoder, "renderer": renderer}, {"about": "random weights"})
        task = Generation(
            folder,
            MelSpeech(dim=64, blocks=1),
            lambda motion, audio: ConformerDiffusion(motion, audio, dim=128, static=16, hidden=32),
        )
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = L.Trainer(
            accelerator="cpu", max_steps=WARM_UP + STEPS, limit_val_batches=0, callbacks=[waiting], **quiet
        )
        trainer.fit(
            task,
            SyntheticClips(
                64,
                identities=8,
                clips_per_identity=1,
                clip_frames=150,
                windows_per_clip=16,
                batch_size=8,
                workers=workers,
            ),
        )
    waited, computed = (1e3 * seconds / STEPS for seconds in (waiting.waited, waiting.computed))
    share = 100 * waited / (waited + computed)
    return f"tiny, {workers} workers: {waited:.1f} ms waiting, {computed:.0f} ms computing: {share:.1f} %"


def paper(folder: Path, workers: int, clips: int = 8, length: int = 250, batches: int = 6) -> str:
    """Load batches of the paper's size and do nothing with them."""
    found = []
    for number in range(clips):
        seen, heard = folder / f"{number}-seen.npy", folder / f"{number}-heard.npy"
        np.save(seen, np.zeros((length, 20 + CODE), np.float32))
        np.save(heard, np.random.default_rng(number).random((LAYERS, 2 * length, CHANNELS)).astype(np.float16))
        found.append(ClipTracks(str(number), str(number), length, 20, seen, heard))
    windows = WindowDataset(found, {clip.clip_id: {} for clip in found}, FRAMES, BATCH * (batches + 2) // clips)
    loader = iter(torch.utils.data.DataLoader(windows, BATCH, num_workers=workers))
    next(loader)
    start = time.perf_counter()
    bytes_read = sum(batch["features"].nbytes for batch in itertools.islice(loader, batches))
    seconds = (time.perf_counter() - start) / batches
    return (
        f"paper, {workers} workers: {bytes_read / batches / 1e6:.0f} MB a batch of {BATCH}, {seconds:.2f} s, "
        f"{BATCH / seconds:.0f} windows/s; a step of more than {seconds:.2f} s finds its batch ready"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("TALKINGFACE_CACHE", folder)
        for workers in (0, 2):
            print(paper(Path(folder), workers) if options.paper else tiny(workers), flush=True)


if __name__ == "__main__":
    main()
