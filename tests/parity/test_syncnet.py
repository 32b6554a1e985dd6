"""SyncNet against the official class in both precisions, and the whole way from frames and sound to LSE-D and LSE-C."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from parity.metric_weights import normal, tensors
from talkingface.core.mfcc import mfcc, mfcc_windows
from talkingface.metrics.functional import sync
from talkingface.metrics.networks.syncnet import SyncNet

FLOAT32 = 1e-5  # of the largest magnitude
FLOAT64 = 1e-9


@pytest.fixture(scope="module")
def numbers(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "syncnet_net")


@pytest.fixture(scope="module")
def weights(numbers: Any) -> dict[str, Tensor]:
    return tensors(numbers, numbers.json("syncnet_keys.json"))


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> SyncNet:
    path = tmp_path_factory.mktemp("syncnet") / "syncnet.safetensors"
    save_file(weights, path)
    return SyncNet.load(path)


@pytest.fixture(scope="module")
def windows(numbers: Any) -> tuple[Tensor, Tensor]:
    lips = (127.5 + 64 * normal(numbers, "syncnet.input.lip", (2, 3, 5, 224, 224))).round().clamp(0, 255)
    speech = 10 * normal(numbers, "syncnet.input.aud", (2, 1, 13, 20))
    assert hashlib.sha256(lips.numpy().tobytes()).digest() == numbers["input_lip_sha256"].numpy().tobytes()
    assert torch.equal(speech, numbers["input_aud"])
    return lips, speech


def assert_near(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    print(f"{name}: relative difference {difference:.2g}")
    assert difference < tolerance


def test_weights_follow_the_rule(numbers: Any, weights: dict[str, Tensor]) -> None:
    checks = numbers.json("syncnet_param_checks.json")
    assert set(checks) == set(weights)
    for name, check in checks.items():
        assert list(weights[name].shape) == check["shape"]
        assert weights[name].double().sum().item() == pytest.approx(check["sum"], abs=1e-6)


def test_published_layout_and_size(numbers: Any) -> None:
    network = SyncNet()
    layout = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert layout == numbers.json("syncnet_keys.json")
    assert len(layout) == 102
    assert sum(parameter.numel() for parameter in network.parameters()) == 13_631_616


@pytest.mark.parametrize(
    ("dtype", "suffix", "tolerance"), [(torch.float64, "f64", FLOAT64), (torch.float32, "f32", FLOAT32)]
)
def test_embeddings(
    numbers: Any, network: SyncNet, windows: tuple[Tensor, Tensor], dtype: torch.dtype, suffix: str, tolerance: float
) -> None:
    lips, speech = (window.to(dtype) for window in windows)
    network.to(dtype)
    frames = lips.transpose(1, 2)
    assert_near(f"lips {suffix}", torch.cat([network.lips(x) for x in frames]), numbers[f"lip_{suffix}"], tolerance)
    features = torch.cat([network.lip_features(x) for x in frames])
    assert_near(f"lip features {suffix}", features, numbers[f"lipfeat_{suffix}"], tolerance)
    assert_near(f"speech {suffix}", network.speech(speech), numbers[f"aud_{suffix}"], tolerance)
    network.float()


def test_every_layer(numbers: Any, network: SyncNet, windows: tuple[Tensor, Tensor]) -> None:
    lips, speech = (window.double() for window in windows)
    stats = numbers.json("syncnet_layer_stats.json")
    network.double()
    outputs: dict[str, Tensor] = {}
    for name, maps in (("netcnnlip", lips), ("netcnnaud", speech)):
        for index, layer in enumerate(getattr(network, name)):
            maps = layer(maps)  # as published, in three dimensions
            outputs[f"{name}.{index}"] = maps.clone()
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) and (name, index) != ("netcnnaud", 19):
                outputs[f"{name}.{index}"].relu_()  # the published ReLU writes over its input, but for the last
        maps = maps.flatten(1)
        for index, layer in enumerate(getattr(network, name.replace("cnn", "fc"))):
            maps = layer(maps)
            outputs[f"{name.replace('cnn', 'fc')}.{index}"] = maps
    network.float()
    assert len(stats) == len(outputs)
    for name, wanted in stats.items():
        assert list(outputs[name].shape) == wanted["shape"]
        found = [outputs[name].mean().item(), outputs[name].abs().max().item()]
        assert found == pytest.approx([wanted["mean"], wanted["absmax"]], rel=FLOAT64, abs=FLOAT64), name


def moving_stripes() -> Tensor:
    """The 40 frames of the oracle, BGR ``(40, 3, 224, 224)`` float in [0, 255]."""
    t, c, y, x = np.meshgrid(*(np.arange(n) for n in (40, 3, 224, 224)), indexing="ij")
    wave = np.sin(2 * np.pi * (x / (40 + 7 * c) + y / (55 - 5 * c)) + 0.35 * t * (c + 1))
    return torch.from_numpy(np.clip(np.rint(127.5 + 100 * wave), 0, 255)).float()


def test_from_frames_and_sound_to_scores(oracle: Callable[[str, str], Any], network: SyncNet) -> None:
    numbers = oracle("metrics", "syncnet_e2e")
    frames = moving_stripes()
    sound = numbers["audio_int16"].double()
    pixels = frames.permute(0, 2, 3, 1).byte().contiguous().numpy()
    assert hashlib.sha256(pixels.tobytes()).digest() == numbers["frames_sha256"].numpy().tobytes()
    coefficients = mfcc(sound)
    assert (coefficients.T - numbers["mfcc"]).abs().max() < 1e-9

    count = min(len(frames), len(sound) // 640) - 5
    assert count == numbers["nwin"]
    lips = network.lips(frames)[:count]
    speech = network.speech(mfcc_windows(coefficients, count).float())
    assert_near("lips", lips, numbers["video_feat"], FLOAT32)
    assert_near("speech", speech, numbers["audio_feat"], FLOAT32)

    found = sync.lip_sync(lips, speech)
    assert_near("m(k)", found.mean, numbers["mdist"].double(), FLOAT32)
    print(f"LSE-D {found.distance:.4f}, LSE-C {found.confidence:.4f}, offset {found.offset}")
    assert found.distance == pytest.approx(float(numbers["LSE_D"]), rel=FLOAT32)
    # the difference of two values near 560 in float32, whose steps are 6e-5
    assert found.confidence == pytest.approx(float(numbers["LSE_C"]), abs=FLOAT32 * float(numbers["LSE_D"]))
    assert found.offset == int(numbers["offset"])
