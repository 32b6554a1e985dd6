"""Two gloo processes that share the clips unevenly give the FID and KID of one process, even when one has no clip."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.metrics import KID, DistributionMetric, FrechetDistance

SMALL = """
from talkingface.metrics import KID, FrechetDistance

class SmallFrechet(FrechetDistance):
    feature, width, needs = "rows", 12, ("video.rows", "target.rows")

class SmallKernel(KID):
    feature, width, needs = "rows", 12, ("video.rows", "target.rows")
"""
WORKER = f"""
import sys
import torch
from torch import distributed
{SMALL}
torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{{folder}}/rendezvous", rank=rank, world_size=2)
clips = torch.load(f"{{folder}}/clips.pt", weights_only=True)
shares = {{"uneven": [clips[:1], clips[1:]], "empty": [clips, []], "none": [[], []]}}
results = {{}}
for name, share in shares.items():
    for metric in (SmallFrechet(), SmallKernel()):
        for clip_id, prediction, target in share[rank]:
            metric.update(prediction, target, clip_id)
        results[f"{{name}}/{{type(metric).__name__}}"] = metric.report()
        metric.compute()
        assert len(metric.counts) == 3 and metric.clips == len(share[rank])  # its own clips again
torch.save(results, f"{{folder}}/rank{{rank}}.pt")
distributed.destroy_process_group()
"""


class SmallFrechet(FrechetDistance):
    feature, width, needs = "rows", 12, ("video.rows", "target.rows")


class SmallKernel(KID):
    feature, width, needs = "rows", 12, ("video.rows", "target.rows")


METRICS = [SmallFrechet, SmallKernel]


@pytest.fixture(scope="module")
def clips() -> list[tuple[str, Tensor, Tensor]]:
    """Five clips of other lengths; the first process alone has fewer rows than features."""
    generator = torch.Generator().manual_seed(0)
    return [
        (f"clip_{i}", torch.randn(5 + i, 12, generator=generator) + i, torch.randn(6 + i, 12, generator=generator))
        for i in range(5)
    ]


@pytest.fixture(scope="module")
def two_processes(clips, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
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


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", ["uneven", "empty"])
def test_two_processes_report_what_one_does(two_processes, clips, metric: type[DistributionMetric], share: str) -> None:
    alone = metric()
    for clip_id, prediction, target in clips:
        alone.update(prediction, target, clip_id)
    expected = alone.report()
    for result in two_processes:
        found = result[f"{share}/{metric.__name__}"]
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert found[key] == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


@pytest.mark.parametrize("metric", METRICS)
def test_without_any_clip_the_value_is_nan(two_processes, metric: type[DistributionMetric]) -> None:
    for result in two_processes:
        assert result[f"none/{metric.__name__}"]["n_pred"] == 0
        assert result[f"none/{metric.__name__}"]["value"] != result[f"none/{metric.__name__}"]["value"]


@pytest.mark.parametrize("metric", METRICS)
def test_the_share_of_one_process_alone_is_another_number(clips, metric: type[DistributionMetric]) -> None:
    values = []
    for share in (clips[1:], clips):
        fed = metric()
        for clip_id, prediction, target in share:
            fed.update(prediction, target, clip_id)
        values.append(float(fed.compute()))
    assert abs(values[0] - values[1]) > 1e-2
