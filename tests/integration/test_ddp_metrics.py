"""Two gloo processes that share the clips unevenly give the numbers of one process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from talkingface.metrics import PSNR, SSIM, ClipMetric, PooledPSNR

WORKER = """
import sys
import torch
from torch import distributed
from talkingface.metrics import PSNR, SSIM, PooledPSNR

torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
clips = torch.load(f"{folder}/clips.pt", weights_only=True)
shares = {"uneven": [clips[:1], clips[1:]], "empty": [clips, []]}
results = {}
for name, share in shares.items():
    for metric in (PSNR(), PooledPSNR(), SSIM()):
        for prediction, target in share[rank]:
            metric.update(prediction, target)
        results[f"{name}/{type(metric).__name__}"] = metric.compute()
torch.save(results, f"{folder}/rank{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def clips() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Five clips of different lengths and quality, so that a mean of the processes' means is another number."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for i in range(5):
        target = torch.randint(0, 256, (i + 1, 3, 20, 24), dtype=torch.uint8, generator=generator)
        noise = torch.randint(-30 * i, 30 * i + 1, target.shape, generator=generator)
        pairs.append(((target.int() + noise).clamp(0, 255).to(torch.uint8), target))
    return pairs


@pytest.fixture(scope="module")
def two_processes(clips, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    folder: Path = tmp_path_factory.mktemp("ddp")
    torch.save(clips, folder / "clips.pt")
    command = [sys.executable, "-W", "ignore", "-c", WORKER]
    workers = [subprocess.Popen([*command, str(rank), str(folder)], stderr=subprocess.PIPE) for rank in range(2)]
    try:
        for worker in workers:
            _, error = worker.communicate(timeout=120)
            assert worker.returncode == 0, error.decode()
    finally:
        for worker in workers:
            worker.kill()
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def score(metric: ClipMetric, clips: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    for prediction, target in clips:
        metric.update(prediction, target)
    return metric.compute()


@pytest.mark.parametrize("metric", [PSNR, PooledPSNR, SSIM])
@pytest.mark.parametrize("share", ["uneven", "empty"])
def test_two_processes_give_the_number_of_one(two_processes, clips, metric: type[ClipMetric], share: str) -> None:
    expected = score(metric(), clips)
    for result in two_processes:
        torch.testing.assert_close(result[f"{share}/{metric.__name__}"], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("metric", [PSNR, PooledPSNR, SSIM])
def test_the_mean_of_the_processes_means_would_be_another_number(clips, metric: type[ClipMetric]) -> None:
    means = torch.stack([score(metric(), clips[:1]), score(metric(), clips[1:])])
    assert abs(means.mean() - score(metric(), clips)) > 1e-2
