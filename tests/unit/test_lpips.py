import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from talkingface.core.errors import ShapeError, UnscorableError, WeightsError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import LPIPS, LPIPSVGG, LPIPSSqueeze, ScoredClip
from talkingface.metrics.lpips import load_lpips

MODELS = {
    LPIPS: torchvision.models.alexnet,
    LPIPSVGG: torchvision.models.vgg16,
    LPIPSSqueeze: torchvision.models.squeezenet1_1,
}


def backbone(metric: type[LPIPS]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    with torch.device("meta"):
        features = MODELS[metric](weights=None).features
    shapes = {f"features.{name}": value.shape for name, value in features.state_dict().items()}
    return {name: torch.randn(shape) / max(1, shape[1:].numel()) ** 0.5 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Backbones in torchvision's layout with fixed weights; what they learned does not matter here."""
    path: Path = tmp_path_factory.mktemp("weights")
    for metric in MODELS:
        save_file(backbone(metric), path / f"{metric.networks[0]}.safetensors")
    return path


@pytest.fixture(autouse=True)
def _weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(folder))


def clip(seed: int, frames: int = 2, side: int = 48) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, 3, side, side), dtype=torch.uint8, generator=generator)


def noisy(frames: Tensor, amount: int) -> Tensor:
    noise = torch.randint(-amount, amount + 1, frames.shape, generator=torch.Generator().manual_seed(1))
    return (frames.int() + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("metric", MODELS)
def test_identical_frames_have_no_distance_and_noise_adds_to_it(metric: type[LPIPS]) -> None:
    target, measure = clip(0), metric()
    scores = [measure(noisy(target, amount), target).item() for amount in (0, 4, 16, 64)]
    assert scores[0] == 0
    assert scores == sorted(scores)
    assert len(set(scores)) == 4


def test_both_sides_may_be_swapped() -> None:
    assert LPIPS()(clip(1), clip(2)) == pytest.approx(LPIPS()(clip(2), clip(1)).item(), abs=1e-7)


def test_batches_change_nothing() -> None:
    target = clip(3, frames=2 * LPIPS.batch + 1, side=40)
    other, metric = noisy(target, 30), LPIPS()
    alone = torch.cat([metric.values(*pair) for pair in zip(other.split(1), target.split(1), strict=True)])
    torch.testing.assert_close(metric.values(other, target), alone, atol=1e-6, rtol=0)
    assert alone.std() > 1e-4


def test_the_smallest_frame_that_a_backbone_takes_is_known() -> None:
    for metric in MODELS:
        side = metric.smallest
        assert metric().values(clip(4, side=side), clip(5, side=side)).isfinite().all()
        small = clip(4, side=side - 1)
        with pytest.raises(UnscorableError, match=f"at least {side} pixels a side, got {side - 1}×{side - 1}"):
            metric().values(small, small)
        with pytest.raises(RuntimeError):  # the control: the backbone itself has no answer there
            metric().network(torch.rand(1, 3, side - 1, side - 1), torch.rand(1, 3, side - 1, side - 1))


def test_the_network_is_no_state_of_the_metric() -> None:
    metric = LPIPS()
    assert list(metric.state_dict()) == []
    assert list(metric.parameters()) == []
    assert not any(parameter.requires_grad for parameter in metric.network.network.parameters())


def test_half_precision_and_whole_checkpoints_of_torchvision_load(tmp_path: Path) -> None:
    tensors = backbone(LPIPS)
    save_file({name: value.half() for name, value in tensors.items()}, tmp_path / "half.safetensors")
    torch.save(tensors | {"classifier.6.weight": torch.zeros(10, 4096)}, tmp_path / "alexnet.pth")
    pair = (clip(6), clip(7))
    exact = LPIPS().values(*pair)
    assert torch.equal(LPIPS(weights={"alexnet": tmp_path / "alexnet.pth"}).values(*pair), exact)
    torch.testing.assert_close(
        LPIPS(weights={"alexnet": tmp_path / "half.safetensors"}).values(*pair), exact, atol=1e-3, rtol=1e-2
    )


def test_a_missing_or_wrong_backbone_is_an_error_never_a_random_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(backbone(LPIPSVGG), tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError, match=r"of another shape: .*net\.slice1\.0\.weight"):
        LPIPS(weights={"alexnet": tmp_path / "wrong.safetensors"})
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="talkingface doctor --fetch alexnet"):
        LPIPS()


def test_loading_says_nothing_and_warns_of_nothing(folder: Path) -> None:
    code = "from talkingface.metrics import LPIPS; LPIPS()"
    environment = os.environ | {"TALKINGFACE_WEIGHTS": str(folder), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_a_clip_is_scored_by_the_mean_of_its_frames() -> None:
    target, metric = clip(8, frames=3), LPIPS()
    prediction = noisy(target, 40)
    score = metric.update_clip(ScoredClip.of(ClipPrediction("a", video=prediction, target=target)))
    assert score.value == pytest.approx(metric.values(prediction, target).mean().item())
    assert (score.lost, score.total) == (0, 3)
    with pytest.raises(ShapeError, match=r"torch\.float32, expected uint8"):
        metric.values(target.float(), target.float())


def test_the_layout_is_the_package_s(folder: Path) -> None:
    network = load_lpips("alex", folder / "alexnet.safetensors")
    assert network.state_dict()["net.slice2.3.weight"].shape == (192, 64, 5, 5)
    assert (network.state_dict()["lin0.model.1.weight"] >= 0).all()  # learned; drawn ones would be negative too
