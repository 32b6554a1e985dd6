"""ControlTalk's editor on true motion: lips of unseen speakers follow the sound, open with alpha, and rest in silence.

The motion is the true expression of synthetic people and the sound is synthesised speech, so that neither pictures nor
a renderer are judged. What is edited has the mouth of another moment: only the sound tells what the mouth should do.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.audio import MelSpeech
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.data.synthetic.expression import INDEX, emotion_offset
from talkingface.data.synthetic.motion import draw_trajectory
from talkingface.data.synthetic.phonemes import random_speech
from talkingface.data.synthetic.speech import synthesise
from talkingface.data.synthetic.visemes import mouth_track
from talkingface.generators import Audio2Exp

FRAMES, CLIPS, UNSEEN, STEPS, BATCH = 50, 120, 12, 400, 16
WIDTH, JAW = 16, INDEX["jaw"]


class Truth(MotionEncoder):
    """True expression and head pose; no picture is ever seen."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"expression": WIDTH, "pose": 3})

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


def talk(seed: int) -> tuple[Tensor, Tensor]:
    """Motion ``(50, 19)`` of somebody who speaks, and the sound ``(S,)``."""
    draws = np.random.default_rng(seed)
    speech = random_speech(draws, FRAMES / 25)
    mouth = mouth_track(speech.phonemes, FRAMES, 25)
    path = draw_trajectory(draws, FRAMES, mouth, emotion_offset("neutral", 1), "neutral", speech.stresses)
    motion = np.concatenate([path.expression, path.pose], axis=1, dtype=np.float32)
    pitch, tract = float(draws.uniform(90, 220)), float(draws.uniform(0.9, 1.15))
    wave = synthesise(speech.phonemes, FRAMES * 640, pitch, tract, draws, speech.stresses)
    return torch.from_numpy(motion), torch.from_numpy(wave)


def heard(encoder: MelSpeech, clips: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([encoder.features(wave[None]) for _, wave in clips])


@pytest.fixture(scope="module")
def trained() -> tuple[Audio2Exp, MelSpeech]:
    clips = [talk(seed) for seed in range(CLIPS)]
    motion = torch.stack([clip[0] for clip in clips])
    torch.manual_seed(0)
    encoder = MelSpeech(dim=64, blocks=0)
    features = heard(encoder, clips)
    editor = Audio2Exp(Truth(), encoder)
    editor.calibrate(motion.flatten(0, 1))
    optimizer = torch.optim.Adam([*encoder.parameters(), *editor.parameters()], 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, STEPS)
    draws = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        some = torch.randint(CLIPS, (BATCH,), generator=draws)
        other = motion[some][:, torch.randperm(FRAMES, generator=draws)]  # a mouth of another moment
        told = Condition(encoder(features[some], FRAMES), motion[some, 0], torch.empty(BATCH, 0), original=other)
        optimizer.zero_grad()
        editor.loss(motion[some], told, draws)["expression"].backward()
        optimizer.step()
        schedule.step()
    return editor.eval(), encoder.eval()


@pytest.fixture(scope="module")
def unseen() -> list[tuple[Tensor, Tensor]]:
    return [talk(10_000 + seed) for seed in range(UNSEEN)]


@torch.no_grad()
def edited(trained: tuple[Audio2Exp, MelSpeech], clips: list[tuple[Tensor, Tensor]], alpha: float) -> Tensor:
    """Jaw ``(n, 50)`` of portraits with open mouths that speak."""
    editor, encoder = trained
    motion = torch.stack([clip[0] for clip in clips])
    widest = motion[torch.arange(len(clips)), motion[..., JAW].argmax(1)]
    mouth = {"mouth": torch.full((len(clips), FRAMES), alpha)}
    told = Condition(encoder(heard(encoder, clips), FRAMES), widest, torch.empty(len(clips), 0), mouth)
    return editor.sample(told, torch.Generator())[..., JAW]


def likeness(found: Tensor, truth: Tensor) -> float:
    """Mean correlation within the clips, without the silence that every clip begins and ends with."""
    spoken = slice(10, -10)
    return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(found[:, spoken], truth[:, spoken], strict=True)]))


@pytest.mark.slow
def test_lips_follow_the_sound_open_with_alpha_and_rest_in_silence(trained, unseen):
    truth = torch.stack([motion[..., JAW] for motion, _ in unseen])
    spoken = edited(trained, unseen, 1.0)
    shuffled = edited(trained, [(m, unseen[i - 1][1]) for i, (m, _) in enumerate(unseen)], 1.0)
    print(f"correlation {likeness(spoken, truth):.2f}, with another's speech {likeness(shuffled, truth):.2f}")
    assert likeness(spoken, truth) > 0.6 > 0.3 > likeness(shuffled, truth)

    wide = truth > truth.quantile(0.8)
    openings = [float(edited(trained, unseen, alpha)[wide].mean()) for alpha in (0.0, 0.25, 0.5, 1.0, 1.5)]
    print("opening of the widest fifth by alpha", openings, "truth", float(truth[wide].mean()))
    assert openings == sorted(openings)
    assert openings[3] > 1.5 * openings[0]

    silent = edited(trained, [(motion, torch.zeros(FRAMES * 640)) for motion, _ in unseen], 1.0)
    portrait = truth.amax(1)
    print(f"jaw in silence {silent.mean():.3f}, of the portraits {portrait.mean():.3f}")
    assert silent.mean() < 0.25 * portrait.mean()
    assert edited(trained, unseen, 0.0).mean() < 0.5 * portrait.mean()
    assert silent[:, 2:-2].diff(dim=1).abs().max() < 1e-5
