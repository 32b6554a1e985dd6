"""LPIPS through three backbones against the authors' package, on hashed weights, and their published example."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from parity.metric_weights import tensors
from talkingface.metrics import LPIPS, LPIPSVGG, LPIPSSqueeze
from talkingface.metrics.lpips import load_lpips

METRICS: dict[str, type[LPIPS]] = {"alex": LPIPS, "vgg": LPIPSVGG, "squeeze": LPIPSSqueeze}
SHARED = Path(__file__).parents[3] / "shared" / "data" / "weights"
TOLERANCE = 1e-6  # float32 against float64; the distances are 0.002 to 0.08


@pytest.fixture(scope="module")
def images(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "psnr_ssim_images")


@pytest.fixture(scope="module", params=METRICS)
def backbone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def file(images: Any, backbone: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone in torchvision's layout, filled by the rule."""
    keys = images.json("lpips_keys.json")[backbone]
    shapes = {theirs: keys["all"][ours] for ours, theirs in keys["lpips_to_torchvision"].items()}
    path: Path = tmp_path_factory.mktemp("lpips") / f"{backbone}.safetensors"
    save_file(tensors(images, shapes, f"{backbone}."), path)
    return path


def clip(images: Any, name: str) -> Tensor:
    frames: Tensor = images[name].permute(0, 3, 1, 2)
    return frames


def test_distances_are_the_package_s(images: Any, backbone: str, file: Path) -> None:
    metric = METRICS[backbone](weights={METRICS[backbone].networks[0]: file})
    numbers = images.json("lpips.json")[backbone]
    found = metric.values(clip(images, "b"), clip(images, "a"))
    wanted = torch.tensor(numbers["dist"], dtype=torch.float64)[: len(found)]
    print(f"lpips {backbone}: {(found - wanted).abs().max():.1e}")
    assert (found - wanted).abs().max() < TOLERANCE
    assert metric.values(clip(images, "a"), clip(images, "a")).tolist() == numbers["identity"][: len(found)]


def test_each_layer_is_the_package_s_and_a_wrong_range_shows(images: Any, backbone: str, file: Path) -> None:
    network, numbers = load_lpips(backbone, file), images.json("lpips.json")[backbone]
    ours, theirs = (clip(images, name).float() for name in ("b", "a"))
    with torch.no_grad():
        _, layers = network(ours / 127.5 - 1, theirs / 127.5 - 1, retPerLayer=True)
        narrow, wide = network(ours / 255, theirs / 255), network(ours, theirs)
    wanted = torch.tensor(numbers["per_layer"], dtype=torch.float64)[:, : len(ours)]
    found = torch.stack([layer.flatten().double() for layer in layers])
    print(f"lpips {backbone} per layer: {(found - wanted).abs().max():.1e}")
    assert (found - wanted).abs().max() < TOLERANCE
    for value, name in ((narrow, "wrong_range_0_1"), (wide, "wrong_range_0_255")):
        wanted = torch.tensor(numbers[name])[: len(ours)]
        assert (value.flatten() - wanted).abs().max() < TOLERANCE
        assert (wanted < torch.tensor(numbers["dist"])[: len(ours)] / 3).all()  # six to thirty times too small


def test_the_authors_example_has_its_published_distances() -> None:
    """``python lpips_2imgs.py`` of the authors' repository: 0.722 and 0.138."""
    found = [Path(folder) / name for folder, name in _places() if (Path(folder) / name).is_file()]
    if not found or not (SHARED / "lp_ex_ref.png").is_file():
        pytest.skip(
            "needs the real AlexNet, in $TALKINGFACE_WEIGHTS or ../shared/data/weights, and the example's images"
        )
    metric = LPIPS(weights={"alexnet": found[0]})
    reference, far, near = (_picture(SHARED / f"lp_ex_{name}.png") for name in ("ref", "p0", "p1"))
    assert metric.values(far, reference).item() == pytest.approx(0.722, abs=5e-4)
    assert metric.values(near, reference).item() == pytest.approx(0.138, abs=5e-4)


def _places() -> list[tuple[str, str]]:
    own = os.environ.get("TALKINGFACE_WEIGHTS", "")
    names = ("alexnet-owt-7be5be79.pth", "alexnet.safetensors")
    return [(own, name) for name in names if own] + [(str(SHARED), "alexnet_features_fp16.safetensors")]


def _picture(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]
