"""Seconds and peak memory of ``talkingface evaluate`` beside torchmetrics called frame by frame, in one run.

    python benchmarks/evaluate.py [CLIPS] [FRAMES]        # default 100 clips of 125 frames at 256 px

Needs the AlexNet that LPIPS looks through (``talkingface doctor --fetch alexnet``). The plain way is measured on a
tenth of the clips, since it takes as long for each, and the controls on a fiftieth.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from talkingface.core.media import VideoWriter
from talkingface.weights import find_weights

SIZE = 256
PLAIN = """
import sys
from pathlib import Path
import lpips, torch, torchvision
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from talkingface.core.media import VideoReader
from talkingface.core.tensors import read_tensors

network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
names = {"slice1": "0", "slice2": "3", "slice3": "6", "slice4": "8", "slice5": "10"}
found = {k.removeprefix("features."): v.float() for k, v in read_tensors(sys.argv[4]).items() if "features." in k}
network.net.load_state_dict({f"{s}.{i}.{p}": found[f"{i}.{p}"] for s, i in names.items() for p in ("weight", "bias")})
sums = torch.zeros(3, dtype=torch.float64)
with torch.no_grad():
    for path in sorted(Path(sys.argv[1]).iterdir())[: int(sys.argv[3])]:
        ours, theirs = VideoReader(path), VideoReader(Path(sys.argv[2]) / path.name)
        for index in range(len(ours)):
            pair = [torch.from_numpy(reader.read([index])).movedim(-1, 1).float() for reader in (ours, theirs)]
            sums[0] += peak_signal_noise_ratio(*pair, data_range=255.0)
            sums[1] += structural_similarity_index_measure(*pair, data_range=255.0)
            sums[2] += network(*(frame / 127.5 - 1 for frame in pair)).item()
"""


def clip(path: Path, seed: int, frames: int, noise: int) -> None:
    """A textured picture that moves, so that the codec has something to do."""
    random = np.random.default_rng(seed)
    texture = random.uniform(0, 255, (SIZE // 8 + 16, SIZE // 8 + 16, 3)).repeat(8, 0).repeat(8, 1)
    with VideoWriter(path) as writer:
        for frame in range(frames):
            x, y = int(30 + 25 * np.sin(frame / 9)), int(30 + 25 * np.cos(frame / 7))
            picture = texture[y : y + SIZE, x : x + SIZE] + random.integers(-noise, noise + 1, (SIZE, SIZE, 1))
            writer.write(np.uint8(picture.clip(0, 255)))


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds, and peak memory in MiB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[:6]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main(clips: int, frames: int) -> None:
    alexnet = str(find_weights("alexnet"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for side, noise in (("pred", 8), ("target", 0)):
            (root / side).mkdir()
            for index in range(clips):
                clip(root / side / f"{index:03}.mp4", index, frames, noise)
        few, fewer = max(2, clips // 10), max(2, clips // 50)
        for prefix, count in (("few_", few), ("fewer_", fewer)):
            for part in ("pred", "target"):
                (root / f"{prefix}{part}").mkdir()
                for index in range(count):
                    (root / f"{prefix}{part}" / f"{index:03}.mp4").symlink_to(root / part / f"{index:03}.mp4")

        def ours(prefix: str, *options: str) -> list[str]:
            paths = ["--pred", str(root / f"{prefix}pred"), "--target", str(root / f"{prefix}target")]
            command = [sys.executable, "-m", "talkingface", "evaluate", *paths, "--out", str(root / "r.json")]
            return [*command, "--metrics", "psnr", "ssim", "lpips", "--json", *options]

        plain = [sys.executable, "-c", PLAIN, str(root / "pred"), str(root / "target"), str(few), alexnet]
        rows = {
            f"torchmetrics frame by frame, {few} clips": (few, *measured(plain)),
            f"evaluate, {few} clips": (few, *measured(ours("few_", "--no-controls"))),
            f"evaluate, {clips} clips": (clips, *measured(ours("", "--no-controls"))),
            f"evaluate, {clips} clips, 2 processes": (clips, *measured(ours("", "--no-controls", "--processes", "2"))),
            f"evaluate with 8 controls, {fewer} clips": (fewer, *measured(ours("fewer_"))),
        }
        for name, (count, seconds, peak) in rows.items():
            per_frame = 1000 * seconds / (count * frames)
            sys.stdout.write(f"{name:45} {seconds:7.1f} s {per_frame:7.1f} ms/frame {peak:7.0f} MiB\n")
        sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]), *(100, 125)[len(sys.argv) - 1 :])
