"""Plots of stage 1: HAL weights, the motion manifold and keypoints."""

import json

import lightning as L
import numpy as np
import pytest
import torch

from integration.tiny_run import TINY, data, task
from talkingface.core.images import to_uint8
from talkingface.core.media import read_picture
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer
from talkingface.tasks import HALWeights, MotionManifold, bar_chart, hal_weights, motion_manifold, points_picture


@pytest.fixture
def model():
    torch.manual_seed(0)
    encoder = LatentMotion(code_dim=32, dim=4, **TINY)
    return encoder, LIARenderer(encoder, **TINY)


@pytest.fixture
def people():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_each_stage_has_its_share_and_they_add_up(model):
    encoder, _ = model
    with torch.no_grad():
        encoder.image_encoder.hal.weights.copy_(torch.tensor([0.0, 0.0, 0.0, 9.0, 0.0, 0.0]))
    weights = hal_weights(encoder)
    assert max(weights, key=weights.get) == "8 px"
    assert sum(weights.values()) == pytest.approx(1)
    assert hal_weights(LatentMotion(hal=False, code_dim=32, dim=4, **TINY)) == {}


def test_the_published_encoder_has_eight_layers():
    with torch.device("meta"):
        encoder = LatentMotion()
    assert len(encoder.image_encoder.hal.weights) == 8


def test_a_longer_bar_is_a_larger_value():
    chart = bar_chart({"a": 0.1, "b": 0.4, "c": 0.0})
    blue = ((chart[..., 2] > 150) & (chart[..., 0] < 100)).sum(0)  # filled pixels of each column
    heights = [int(blue[32 + place * 80 + 32]) for place in range(3)]
    assert heights[1] == pytest.approx(4 * heights[0], abs=4)
    assert heights[2] <= 1


def test_the_manifold_starts_and_ends_where_it_was_told_to(model, people):
    encoder, renderer = model
    for parameter in renderer.parameters():  # fresh flow is next to nothing, and motion could not be seen
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        picture = motion_manifold(encoder, renderer, people, people[0], people[1], steps=3)
        ends = [renderer(renderer.appearance(people), encoder(people[i : i + 1]).expand(3, -1)).image for i in (0, 1)]
    assert picture.shape == (3 * 64, 4 * 64, 3)
    rows = picture.view(3, 64, 4, 64, 3)
    assert torch.equal(rows[:, :, 0], to_uint8(people))
    for column, end in zip((1, 3), ends, strict=True):
        assert (rows[:, :, column].int() - to_uint8(end).int()).abs().max() <= 1
    assert not torch.equal(rows[:, :, 1], rows[:, :, 3])


def test_a_keypoint_is_a_dot_where_it_lies_and_near_ones_lie_on_top():
    black = np.zeros((64, 64, 3), np.uint8)
    points = torch.tensor([[-0.5, 0.5, 1.0], [0.5, 0.0, 1.0], [0.5, 0.0, -1.0]])
    drawn = points_picture(black, points)
    assert drawn.shape == (256, 256, 3)
    blue, yellow = drawn[192, 64].tolist(), drawn[128, 192].tolist()
    assert blue[2] > 150 > blue[0]
    assert yellow[0] > 150 > yellow[2]
    assert (drawn.any(-1).mean()) < 0.01  # nothing else
    assert not black.any()


def test_a_run_leaves_both_plots(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[HALWeights(), MotionManifold(rows=2, steps=3)],
    )
    trainer.fit(task(), data(4))
    assert sum(json.loads((tmp_path / "hal_weights.json").read_text()).values()) == pytest.approx(1)
    assert read_picture(tmp_path / "hal_weights.png").ndim == 3
    assert read_picture(tmp_path / "motion_manifold.png").shape == (64, 4 * 64, 3)  # one person in the validation set
