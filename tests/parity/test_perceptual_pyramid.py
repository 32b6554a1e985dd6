"""The image pyramid of the perceptual loss equals that of the face-vid2vid line."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from talkingface.core.pyramid import gaussian_downsample


@pytest.fixture
def numbers(oracle):
    return oracle("facevid2vid", "fv_pyramid")


@pytest.fixture
def picture(numbers):
    """``driving_image_1`` by the rule of that folder: coarse cells and fine noise, in (0, 1)."""

    def draw(key, shape):
        return numbers.random(key).standard_normal(shape).astype(np.float32)

    fine = draw("input:driving_image_1", (1, 3, 256, 256)).astype(np.float64)
    coarse = draw("input:driving_image_1:coarse", (1, 3, 8, 8)).repeat(32, 2).repeat(32, 3)
    return torch.from_numpy((1 / (1 + np.exp(-(1.5 * coarse + 0.5 * fine)))).astype(np.float32))


def difference(numbers, level, scale):
    name = f"prediction_{scale}"
    assert tuple(numbers.numbers[f"{name}/shape"]) == tuple(level.shape)
    found = level.numpy().ravel()[numbers.numbers[f"{name}/idx"]]
    return float(np.abs(found - numbers.numbers[f"{name}/val"]).max())


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_a_level_equals_the_published_one(numbers, picture, scale):
    assert difference(numbers, gaussian_downsample(picture, scale), scale) < 1e-5


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_plain_averaging_would_be_noticed(numbers, picture, scale):
    assert difference(numbers, functional.avg_pool2d(picture, round(1 / scale)), scale) > 1e-2
