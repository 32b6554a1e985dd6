"""Benches of editors and of the whole zoo run shrunk, from their files alone; equal models are trained once."""

import json

import pytest

from talkingface.bench.columns import SPEED
from talkingface.cli.main import main


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Runs some variants of a bench; gives its folder, its cells by variant, and what was trained for it."""
    folder = tmp_path_factory.mktemp("bench")  # beside each other, so that they lend what they have

    def run(name, *variants):
        out = folder / name
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TALKINGFACE_CACHE", str(folder / "cache"))
            assert main(["bench", name, "--smoke", "--jobs", "2", "--out", str(out), "--only", *variants]) == 0
        results = json.loads((out / "results.json").read_text())
        cells = {cell["variant"]: cell["values"] for cell in results["cells"] if cell["state"] == "done"}
        assert set(cells) == set(variants)
        return out, cells

    return run


@pytest.mark.slow
def test_the_zoo_puts_quality_beside_speed_and_size_under_one_card(smoke):
    out, cells = smoke("zoo", "controltalk", "landmarks")
    assert len(list(out.glob("fits/*/model/model_index.json"))) == 5  # two of stage 2, two of stage 1, and an expert
    for values in cells.values():
        assert values["model"]["parameters"] > 0
        assert all(values["model"][name] > 0 for name in SPEED)
        assert values["model"]["frames-per-second"] == pytest.approx(25 / values["model"]["real-time-factor"])
        assert values["ground truth"]["frames-per-second"] is None
        assert values["ground truth"]["speech/psnr"] == 100
    assert cells["controltalk"]["model"]["told/psnr"] is None  # an editor of expressions turns no head
    assert cells["landmarks"]["model"]["told/psnr"] is not None
    table = (out / "table.md").read_text()
    assert "protocol card " in table
    assert "frames/s, noisy" in table


@pytest.mark.slow
def test_alphas_are_asked_of_one_editor(smoke):
    out, cells = smoke("controltalk-alpha", "alpha-0", "alpha-1.5")
    assert len(list(out.glob("fits/*/model/model_index.json"))) == 3  # the editor, its stage 1 and its expert
    asked = [json.loads(path.read_text())["animate"] for path in sorted(out.glob("cells/*/cell.json"))]
    assert sorted(one["mouth"] for one in asked) == [0, 1.5]
    truth = cells["alpha-0"]["ground truth"]
    assert truth == cells["alpha-1.5"]["ground truth"]
    assert 50 < truth["speech/lip-opening"] < 150


@pytest.mark.slow
def test_the_sync_ratio_is_swept(smoke):
    out, cells = smoke("controltalk-sync", "ratio-0")
    assert cells["ratio-0"]["model"]["dubbed/psnr-rest"] is not None
    (found,) = (json.loads(path.read_text()) for path in out.glob("cells/*/cell.json"))
    assert found["config"]["model"]["init_args"]["loss_weights"] == {"pyramid": 7.0, "sync": 0}


@pytest.mark.slow
def test_an_editor_and_a_talker_are_given_one_reference_video(smoke):
    _, cells = smoke("controltalk-dubbing", "controltalk", "regression")
    editor, talker = cells.values()
    assert editor["copy the source"]["dubbed/psnr"] == pytest.approx(talker["copy the source"]["dubbed/psnr"])
    assert editor["copy the source"]["dubbed/psnr"] < 100  # the reference is not the result
    assert editor["ground truth"]["dubbed/psnr"] == 100


@pytest.mark.slow
def test_a_cell_of_the_matrix_tells_the_loss_of_its_first_step(smoke):
    out, cells = smoke("matrix", "landmarks-lia")
    assert cells["landmarks-lia"]["model"]["one-step-loss"] > 0
    assert cells["landmarks-lia"]["model"]["psnr"] > 0
    assert "landmarks → LIA (bridge)" in (out / "table.md").read_text()
