"""What a run shows of itself: preview strips and the table of quality."""

import json

import pytest
import torch

from integration.tiny_run import data, task
from talkingface.core.geometry import base_grid
from talkingface.core.media import read_picture
from talkingface.core.records import RenderOutput
from talkingface.tasks import PreviewStrip, QualityTable
from talkingface.tasks.preview import flow_picture, preview_strip
from talkingface.tasks.quality import quality_rows


def still(height=8):
    grid = base_grid(height, height, torch.zeros(1)).expand(2, -1, -1, -1)
    return RenderOutput(torch.zeros(2, 3, height, height), grid, torch.ones(2, 1, height, height))


def test_no_motion_is_black_and_motion_is_not():
    grid = still().flow
    assert (flow_picture(grid) == -1).all()
    assert (flow_picture(grid + torch.tensor([0.2, 0.0])) > -0.9).any()


def test_opposite_motions_have_different_colours():
    grid = still().flow
    right, left = (flow_picture(grid + torch.tensor([step, 0.0]))[0, :, 0, 0] for step in (0.2, -0.2))
    assert (right - left).abs().max() > 0.5


def test_a_strip_has_five_columns_and_a_row_a_pair():
    source, driving = torch.full((2, 3, 8, 8), -1.0), torch.full((2, 3, 8, 8), 1.0)
    strip = preview_strip(source, driving, still())
    assert strip.shape == (16, 40, 3)
    assert strip[:, :8].max() == 0
    assert strip[:, 8:16].min() == 255
    assert strip[:, 32:].min() == 255  # the mask shows all of the warped source


def test_rows_are_collected_by_name_and_a_silent_stage_has_none():
    values = {"val/psnr": 20.0, "val/psnr_copy": 18.0, "test/psnr": 1.0}
    assert quality_rows(values, "val") == {"copy": {"psnr": 18.0}, "model": {"psnr": 20.0}}
    assert quality_rows({}, "val") == {}


@pytest.fixture
def run(tmp_path, monkeypatch, tmp_path_factory):
    import lightning as L

    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[PreviewStrip(every=2, rows=2), QualityTable()],
    )
    trainer.fit(task(), data(4))
    return tmp_path


def test_a_run_leaves_a_strip_when_it_is_due_and_a_table(run, capsys):
    assert [path.name for path in (run / "previews").iterdir()] == ["epoch0001.png"]
    assert read_picture(run / "previews" / "epoch0001.png").shape == (2 * 64, 5 * 64, 3)
    rows = json.loads((run / "quality_val.json").read_text())["rows"]
    assert set(rows) == {"copy", "shuffled", "model", "truth"}
    assert rows["truth"] == {"psnr": 100.0, "ssim": 1.0}
    assert rows["copy"]["psnr"] < 100
