"""``animate --audio`` as a whole: speed, first frame, peak memory against the length of the speech, joints of windows.

    python benchmarks/speech.py [--seconds 10 600] [--steps 5] [--model DIR]

Without a model, a small one with random weights shows speed and memory; how well windows join, only a trained one can
show. Each length runs in a process of its own, on one core. The real-time factor is seconds of work for a second of
video. Joints are the largest step of the motion where windows join, over the median step of all frames; beside it the
largest step anywhere, and the joints of windows that do not know of each other.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import talkingface

RATE = 16000  # Hz


def make_speech(path: Path, seconds: int) -> None:
    """Something like syllables: a buzz that comes and goes four times a second, with pauses."""
    from talkingface.core.media import write_audio

    time_ = np.arange(seconds * RATE, dtype=np.float32) / RATE
    loud = np.clip(np.sin(2 * np.pi * 4 * time_) * np.sin(2 * np.pi * 0.3 * time_), 0, None)
    write_audio(path, (0.4 * loud * np.sign(np.sin(2 * np.pi * 120 * time_))).astype(np.float32))


def random_model() -> "talkingface.Animator":
    """The published architecture at 64 px, a sixteenth as wide."""
    import torch

    import talkingface
    from talkingface.audio import MelSpeech
    from talkingface.generators import ConformerDiffusion
    from talkingface.motion import LatentMotion
    from talkingface.renderers import LIARenderer

    torch.manual_seed(0)
    encoder = LatentMotion(size=64, width=0.0625, code_dim=32)
    hearing = MelSpeech(dim=32, blocks=1)
    generator = ConformerDiffusion(encoder, hearing, dim=96, blocks=1, static=16, hidden=16)
    return talkingface.Animator(encoder, LIARenderer(encoder, size=64, width=0.0625), hearing, generator, device="cpu")


def one_run(speech: str, options: argparse.Namespace) -> dict[str, Any]:
    """Animate and measure, in this process."""
    import torch

    import talkingface
    from talkingface.pipelines.windows import seam_ratio

    torch.set_num_threads(1)
    animator = talkingface.load(options.model, "cpu") if options.model else random_model()
    portrait = np.full((animator.renderer.size, animator.renderer.size, 3), 128, np.uint8)
    waited: list[float] = []
    start = time.perf_counter()
    animation = animator.animate(portrait, audio=speech, steps=options.steps, crop="none")
    with tempfile.TemporaryDirectory() as folder:
        animation.save(Path(folder) / "out.mp4", lambda *_: waited.append(time.perf_counter() - start))
    taken = time.perf_counter() - start
    answer = {
        "frames": len(animation),
        "windows": len(animation.motion.windows),
        "factor": taken / (len(animation) / 25),
        "first": waited[0],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # Linux counts in KiB
    }
    motion = torch.cat(list(animation.motion.stream(8)))
    windows = animation.motion.windows
    steps = motion.diff(dim=0).norm(dim=-1)
    generator = animator.motion_generator
    sample = generator.sample
    generator.sample = lambda *told, prefix=None, **more: sample(*told, **more)
    apart = torch.cat(list(animation.motion.stream(8)))
    answer["seam"] = seam_ratio(motion, windows)
    answer["seam_apart"] = seam_ratio(apart, windows)
    answer["largest"] = (steps.max() / steps.median()).item()
    return answer


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 600], help="lengths of the speech")
    parser.add_argument("--steps", type=int, default=5, help="of the sampler")
    parser.add_argument("--model", help="model folder (default: a small one with random weights)")
    parser.add_argument("--speech", help=argparse.SUPPRESS)  # the child process
    options = parser.parse_args()
    if options.speech:
        sys.stdout.write(json.dumps(one_run(options.speech, options)) + "\n")
        return
    head = f"{'speech':>7} {'frames':>7} {'windows':>8} {'real-time factor':>17} {'first frame':>12} {'peak MiB':>9}"
    sys.stdout.write(f"{head}   joints, largest step, joints without overlap (of the median step)\n")
    peaks = []
    settings = [f"--steps={options.steps}", *([f"--model={options.model}"] if options.model else [])]
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            speech = Path(folder) / f"{seconds}.wav"
            make_speech(speech, seconds)
            command = [sys.executable, __file__, "--speech", str(speech), *settings]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            run = json.loads(answer.splitlines()[-1])
            peaks.append(run["peak_mib"])
            sys.stdout.write(
                f"{seconds:>5} s {run['frames']:>7} {run['windows']:>8} {run['factor']:>17.3f} {run['first']:>10.2f} s "
                f"{run['peak_mib']:>9.0f}   {run['seam']:.2f}, {run['largest']:.2f}, {run['seam_apart']:.2f}\n"
            )
            sys.stdout.flush()
    sys.stdout.write(f"peak, longest against shortest: {100 * (peaks[-1] / peaks[0] - 1):+.1f} %\n")


if __name__ == "__main__":
    main()
