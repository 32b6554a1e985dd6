"""Two processes train as one process with twice the batch does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "tiny_run.py"


def curve_of(folder, devices, batch, epochs=2):
    out = folder / f"{devices}x{batch}.json"
    environment = os.environ | {"TALKINGFACE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(out), str(devices), str(batch), str(epochs)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=400)
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    return {name: curve_of(folder, *size) for name, size in {"one": (1, 4), "two": (2, 2), "other": (1, 2)}.items()}


def test_two_processes_have_the_loss_curve_of_one_with_twice_the_batch(results):
    assert results["two"]["loss"] == pytest.approx(results["one"]["loss"], rel=2e-5)


def test_another_batch_size_has_another_curve(results):
    assert results["other"]["loss"][:4] != pytest.approx(results["one"]["loss"][:4], rel=1e-3)


def test_two_processes_judge_as_one_does(results):
    assert results["two"]["quality"] == pytest.approx(results["one"]["quality"], rel=1e-4)
