"""Dubbing: seconds for a second of video, what finding the face takes of it, and whether memory grows with the length.

    python benchmarks/dubbing.py --source CLIP.mp4 [--model DIR] [--seconds 4 16]

The video goes back and forth until the speech, which is noise, ends. Without a model, a small one with random weights
stands in. Each length runs in a process of its own, on one thread, by processor time.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from talkingface.audio import MelSpeech
from talkingface.generators import Audio2Exp
from talkingface.hub import save_model
from talkingface.motion import FaceVid2VidMotion
from talkingface.pipelines import load, trail
from talkingface.renderers import FaceVid2VidRenderer


def timed(function: Callable[[Any], Any], spent: list[float]) -> Callable[[Any], Any]:
    """The function, which notes how long it took."""

    def run(frames: Any) -> Any:
        begun = time.process_time()
        found = function(frames)
        spent.append(time.process_time() - begun)
        return found

    return run


def dub(model: str, source: str, seconds: int, folder: str) -> dict[str, float]:
    """Dub one length into a file."""
    torch.set_num_threads(1)
    looking: list[float] = []
    trail.find_faces = timed(trail.find_faces, looking)
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000 * seconds)
    dubbing = load(model, "cpu").dub(source, noise.clip(-1, 1).astype(np.float32), mouth=1)
    begun = time.process_time()
    dubbing.save(Path(folder) / "out.mp4")
    taken, peak = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "real_time_factor": taken / seconds, "faces": sum(looking) / taken, "peak_mib": peak}


def random_model(folder: Path) -> Path:
    """Face-vid2vid at 64 px with an editor."""
    torch.manual_seed(0)
    motion, audio = FaceVid2VidMotion(size=64, width=0.0625, depth=2), MelSpeech(dim=8, blocks=0)
    renderer = FaceVid2VidRenderer(motion, size=64, width=0.0625, depth=2)
    stage1 = {"motion_encoder": motion, "renderer": renderer}
    save_model(folder, {**stage1, "audio_encoder": audio, "motion_generator": Audio2Exp(motion, audio)}, {})
    return folder


def main() -> None:
    """Print one row for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True)
    parser.add_argument("--model")
    parser.add_argument("--seconds", type=int, nargs="+", default=[4, 16])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        model = options.model or str(random_model(Path(home) / "model"))
        for seconds in options.seconds:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(json.dumps(pool.apply(dub, (model, options.source, seconds, home))), flush=True)


if __name__ == "__main__":
    main()
