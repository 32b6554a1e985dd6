"""What a bench says of speed: the whole way from portrait to pictures, of models that speak and those that do not."""

import pytest
import torch

from talkingface.audio import MelSpeech
from talkingface.bench.columns import SPEED
from talkingface.bench.speed import measured_speed
from talkingface.data.synthetic import USUAL
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LatentMotion
from talkingface.pipelines import Animator
from talkingface.renderers import LIARenderer


def animator(speaks):
    torch.manual_seed(0)
    motion = LatentMotion(size=64, width=0.0625, code_dim=32, dim=4)
    parts = [motion, LIARenderer(motion, size=64, width=0.0625)]
    if speaks:
        audio = MelSpeech(dim=8, blocks=0)
        parts += [audio, ConformerDiffusion(motion, audio, dim=24, blocks=1, static=4, hidden=4)]
    return Animator(*parts, device="cpu")


@pytest.mark.parametrize("speaks", [False, True])
def test_every_column_of_speed_is_measured_and_they_agree(speaks, monkeypatch):
    model, drawn = animator(speaks), []
    render = model.render
    monkeypatch.setattr(model, "render", lambda source, motion: drawn.append(len(motion)) or render(source, motion))
    found = measured_speed(model, 1_000_000, 5, 10, USUAL)
    assert set(found) == set(SPEED)
    assert sum(drawn) == 2 * 10  # a warm-up, and the run that is measured
    assert found["frames-per-second"] == pytest.approx(25 / found["real-time-factor"])
    assert 0 < found["first-frame"] <= 1000 * 10 / found["frames-per-second"]
    assert found["animate-gb"] > 0.05
