"""A training step of ControlTalk's editor: memory and time, with rendering remembered or done again on the way back.

    python benchmarks/editing_step.py [--size 256] [--width 1.0] [--windows 1] [--recompute 0 5 1]

Each row is a process of its own with random weights: face-vid2vid with 15 keypoints, a sync expert, and the pyramid in
place of VGG; the gradient passes through the frozen renderer to the editor. Memory is what the process grows by in the
step, over what it holds before it. On a CPU one thread, whose processor time is told: other programs disturb it less.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from talkingface.audio import MelSpeech
from talkingface.core.sync_window import SAMPLES
from talkingface.generators import Audio2Exp
from talkingface.hub import save_model
from talkingface.losses import LipSyncLoss, SyncExpert
from talkingface.motion import FaceVid2VidMotion
from talkingface.renderers import FaceVid2VidRenderer
from talkingface.tasks import Editing


def peak() -> float:
    """Most memory that this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(folder: str, size: int, windows: int, recompute: int) -> dict[str, float]:
    """One step, forward and backward."""
    torch.set_num_threads(1)
    sync = LipSyncLoss(expert=f"{folder}/expert")
    weights = {"pyramid": 1.0, "sync": 0.3}
    audio = MelSpeech(dim=64, blocks=0)
    task: Any = Editing(f"{folder}/stage1", audio, Audio2Exp, sync, loss_weights=weights, recompute=recompute)
    torch.nn.init.normal_(task.motion_generator.zero.weight, std=0.01)
    task.log_dict = lambda *args, **kwargs: None
    task.trainer = SimpleNamespace(current_epoch=0, global_step=10_000, global_rank=0)
    landmarks = torch.full((windows, 5, 68, 2), 0.5)
    landmarks[..., 8, 1], landmarks[..., 48, 0], landmarks[..., 54, 0] = 0.75, 0.4, 0.6
    batch = {
        "frames": torch.rand(windows, 5, 3, size, size) * 2 - 1,
        "landmarks": landmarks,
        "features": torch.randn(windows, 1, 20, 80),
        "sound": 0.1 * torch.randn(windows, SAMPLES),
        "clip_id": ["random"] * windows,
    }
    with torch.no_grad():
        task.renderer.appearance(batch["frames"][:, 0])  # one frame, so that libraries have what they keep
    before, begun = peak(), time.process_time()
    task.train().training_step(batch, 0).backward()
    return {"recompute": recompute, "seconds": time.process_time() - begun, "mib": peak() - before}


def main() -> None:
    """Print one row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--recompute", type=int, nargs="+", default=[0, 5, 1])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        torch.manual_seed(0)
        motion = FaceVid2VidMotion(size=options.size, width=options.width)
        renderer = FaceVid2VidRenderer(motion, size=options.size, width=options.width)
        save_model(Path(home) / "stage1", {"motion_encoder": motion, "renderer": renderer}, {})
        save_model(Path(home) / "expert", {"sync_expert": SyncExpert()}, {})
        del motion, renderer
        context = multiprocessing.get_context("spawn")
        for recompute in options.recompute:
            with context.Pool(1) as pool:
                print(json.dumps(pool.apply(step, (home, options.size, options.windows, recompute))), flush=True)


if __name__ == "__main__":
    main()
