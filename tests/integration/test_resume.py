"""A run that was interrupted ends as if it had not been."""

import pytest
import torch

from integration.tiny_run import run
from talkingface.core.tensors import read_tensors


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def difference(first, second):
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize("identity", [False, True])
def test_two_epochs_and_two_more_equal_four_bit_for_bit(tmp_path, identity):
    players = {"adversarial": True, "identity": identity, "ema": True}
    straight, curve = run(tmp_path / "straight", 4, **players)
    _, first = run(tmp_path / "parts", 2, **players)
    resumed, second = run(tmp_path / "parts", 4, checkpoint=tmp_path / "parts" / "epoch=1.ckpt", **players)
    assert first + second == curve
    assert difference(straight.lightning_module.state_dict(), resumed.lightning_module.state_dict()) == []
    saved = [read_tensors(tmp_path / name / "epoch=3.ckpt") for name in ("straight", "parts")]
    assert difference(saved[0]["state_dict"], saved[1]["state_dict"]) == []  # the averaged weights


def test_the_comparison_would_notice_a_run_that_forgot_its_optimiser(tmp_path):
    _, curve = run(tmp_path / "straight", 3)
    checkpoint = torch.load(tmp_path / "straight" / "epoch=1.ckpt", weights_only=True)
    for state in checkpoint["optimizer_states"][0]["state"].values():
        state["exp_avg_sq"].mul_(0.5)
    torch.save(checkpoint, tmp_path / "altered.ckpt")
    _, resumed = run(tmp_path / "resumed", 3, checkpoint=tmp_path / "altered.ckpt")
    assert resumed[0] == curve[-len(resumed)]  # the first step still sees the same weights
    assert resumed != curve[-len(resumed) :]


def test_a_checkpoint_holds_nothing_that_needs_code(tmp_path):
    run(tmp_path, 1)
    content = read_tensors(tmp_path / "epoch=0.ckpt")  # weights_only
    assert "hyper_parameters" not in content
    assert content["talkingface"]["format"] == 1
