"""The image pyramid of the perceptual loss equals that of the face-vid2vid line, whose rule of weights is its own."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from talkingface.losses.pyramid import gaussian_downsample

DEFAULT = Path(__file__).parents[3] / "shared" / "reference"
FOLDER = Path(os.environ.get("TALKINGFACE_REFERENCE", DEFAULT))
SHIPPED = Path(__file__).parent / "data" / "fv_pyramid.npz"


@pytest.fixture(scope="module")
def oracle():
    """Numbers, and the salt that goes with them."""
    path, salt = FOLDER / "facevid2vid" / "oracles" / "fv_pyramid.npz", FOLDER / "salt.txt"
    if not path.is_file():
        return np.load(SHIPPED, allow_pickle=False), ""
    return np.load(path, allow_pickle=False), salt.read_text().strip() if salt.is_file() else ""


@pytest.fixture(scope="module")
def picture(oracle):
    """``driving_image_1``: coarse cells and fine noise, in (0, 1)."""

    def draw(key, shape):
        seed = int.from_bytes(hashlib.sha256((oracle[1] + key).encode()).digest()[:8], "little")
        return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32)

    fine = draw("input:driving_image_1", (1, 3, 256, 256)).astype(np.float64)
    coarse = draw("input:driving_image_1:coarse", (1, 3, 8, 8)).repeat(32, 2).repeat(32, 3)
    return torch.from_numpy((1 / (1 + np.exp(-(1.5 * coarse + 0.5 * fine)))).astype(np.float32))


def difference(oracle, level, scale):
    numbers, name = oracle[0], f"prediction_{scale}"
    assert tuple(numbers[f"{name}/shape"]) == tuple(level.shape)
    return float(np.abs(level.numpy().ravel()[numbers[f"{name}/idx"]] - numbers[f"{name}/val"]).max())


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_a_level_equals_the_published_one(oracle, picture, scale):
    assert difference(oracle, gaussian_downsample(picture, scale), scale) < 1e-5


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_plain_averaging_would_be_noticed(oracle, picture, scale):
    assert difference(oracle, functional.avg_pool2d(picture, round(1 / scale)), scale) > 1e-2
