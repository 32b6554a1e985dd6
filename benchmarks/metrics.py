"""What PSNR, SSIM and LPIPS cost a frame, beside torchmetrics called frame by frame, in one run.

    python benchmarks/metrics.py [--frames 48] [--size 256] [--threads 1] [--alexnet FILE]

The frames are drawn, for the time does not depend on them; both sides see the same ones and the same AlexNet (drawn too
where no file is given). Each time is the least of several turns, ours and theirs alternating, so that another program
slows both; run it on an idle machine all the same.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchmetrics.functional.image.lpips import _NoTrainLpips

from talkingface.metrics import LPIPS, psnr, ssim

TURNS = 5
Measure = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alexnet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    generator = torch.Generator().manual_seed(0)
    shape = (options.frames, 3, options.size, options.size)
    target = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    noise = torch.randint(-40, 41, shape, generator=generator)
    prediction = (target.int() + noise).clamp(0, 255).to(torch.uint8)

    lpips = LPIPS(weights={"alexnet": options.alexnet or drawn_alexnet()})
    pairs: dict[str, tuple[Measure, Measure]] = {
        "PSNR": (psnr, frame_by_frame(lambda p, t: peak_signal_noise_ratio(p * 255, t * 255, data_range=255.0))),
        "SSIM": (ssim, frame_by_frame(lambda p, t: structural_similarity_index_measure(p, t, data_range=1.0))),
        "LPIPS": (lpips.values, frame_by_frame(plain_lpips(lpips))),
    }
    table = Table("ms a frame", "talkingface", "torchmetrics", "ratio", "largest difference")
    ours_all = theirs_all = 0.0
    for name, (ours, theirs) in pairs.items():
        difference = (ours(prediction, target) - theirs(prediction, target)).abs().max().item()
        ours_time, theirs_time = fastest(ours, theirs, prediction, target)
        ours_all, theirs_all = ours_all + ours_time, theirs_all + theirs_time
        table.add_row(name, *columns(ours_time, theirs_time), f"{difference:.1e}")
    table.add_row("all", *columns(ours_all, theirs_all), "")
    console = Console()
    console.print(
        f"{options.frames} frames of {options.size} px, {options.threads} thread(s), torch {torch.__version__}"
    )
    console.print(table)
    console.print("SSIM differs because torchmetrics also counts windows that reach into reflected borders.")


def columns(ours: float, theirs: float) -> tuple[str, str, str]:
    """Two times in seconds as cells, and their ratio."""
    return f"{ours * 1000:.2f}", f"{theirs * 1000:.2f}", f"{theirs / ours:.1f}"


def fastest(ours: Measure, theirs: Measure, prediction: Tensor, target: Tensor) -> tuple[float, float]:
    """Seconds a frame, the least of several turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for measure, taken in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            measure(prediction, target)
            taken.append((time.perf_counter() - start) / len(target))
    return min(times[0]), min(times[1])


def frame_by_frame(measure: Measure) -> Measure:
    """The plain way: each frame to float in [0, 1], one call each."""

    def call(prediction: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            pairs = zip(prediction.split(1), target.split(1), strict=True)
            return torch.stack(
                [measure(ours.float() / 255, theirs.float() / 255).flatten()[0] for ours, theirs in pairs]
            )

    return call


def plain_lpips(metric: LPIPS) -> Measure:
    """Torchmetrics' own network with the weights of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _NoTrainLpips(net="alex", pretrained=False, pnet_rand=True)
    network.load_state_dict(metric.network.network.state_dict(), strict=False)
    return lambda prediction, target: network(prediction, target, normalize=True)


def drawn_alexnet() -> Path:
    """An AlexNet that learned nothing, as a file."""
    torch.manual_seed(0)
    path = Path(tempfile.mkdtemp()) / "alexnet.safetensors"
    features = torchvision.models.alexnet(weights=None).features
    save_file({f"features.{name}": value for name, value in features.state_dict().items()}, path)
    return path


if __name__ == "__main__":
    main()
