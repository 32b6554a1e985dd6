"""Emotions move the true expression of unseen speakers the right way and as much as told; wrong labels do not.

The motion is the true expression and pose of synthetic people, and the speech the true mouth, so that nothing but the
generator is judged.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.audio import MelSpeech
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.data.synthetic.expression import EMOTIONS, emotion_offset
from talkingface.data.synthetic.motion import draw_trajectory
from talkingface.data.synthetic.phonemes import random_speech
from talkingface.data.synthetic.visemes import mouth_track
from talkingface.evaluation.emotions import MOODS, STRENGTHS, score_change, true_offsets
from talkingface.evaluation.speech import lip_correlation
from talkingface.generators import ConformerDiffusion, EmotionCondition

FRAMES, CLIPS, STEPS, BATCH, UNSEEN = 32, 400, 900, 16, 8
MOUTH = 16


class Truth(MotionEncoder):
    """True expression and head pose; no picture is ever seen."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"expression": MOUTH, "pose": 3})

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


def talk(seed: int, emotion: str | None = None) -> tuple[Tensor, Tensor, str]:
    """Motion ``(33, 19)`` and mouth ``(33, 16)`` of somebody who speaks, and their emotion."""
    draws = np.random.default_rng(seed)
    drawn, intensity = EMOTIONS[int(draws.integers(len(EMOTIONS)))], int(draws.integers(1, 4))
    emotion = emotion or drawn
    speech = random_speech(draws, (FRAMES + 1) / 25)
    mouth = mouth_track(speech.phonemes, FRAMES + 1, 25)
    offset = emotion_offset(emotion, intensity)
    path = draw_trajectory(draws, FRAMES + 1, mouth, offset, emotion, speech.stresses)
    motion = np.concatenate([path.expression, path.pose], axis=1, dtype=np.float32)
    return torch.from_numpy(motion), torch.from_numpy(mouth.astype(np.float32)), emotion


def by_label(motion: Tensor, labels: list[str]) -> dict[str, Tensor]:
    return {name: motion[[label == name for label in labels]].flatten(0, 1) for name in EMOTIONS}


@pytest.fixture(scope="module")
def trained() -> tuple[ConformerDiffusion, EmotionCondition]:
    """A generator, and what names would mean had the labels been shuffled."""
    clips = [talk(seed) for seed in range(CLIPS)]
    motion, mouth = (torch.stack([clip[part] for clip in clips]) for part in (0, 1))
    labels = [clip[2] for clip in clips]
    torch.manual_seed(0)
    sizes = {"dim": 96, "blocks": 1, "dropout": 0.0, "static": 20, "attributes": []}
    part = ConformerDiffusion(Truth(), MelSpeech(dim=MOUTH, blocks=0), emotions=EMOTIONS, **sizes)
    part.calibrate(motion.flatten(0, 1), by_label(motion, labels))
    optimizer = torch.optim.Adam(part.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS)
    draws = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        some = torch.randint(CLIPS, (BATCH,), generator=draws)
        told = Condition(mouth[some, 1:], motion[some, 0], torch.empty(BATCH, 0))
        optimizer.zero_grad()
        part.loss(motion[some, 1:], told, draws)["diffusion"].backward()
        torch.nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    wrong = EmotionCondition(part.spec, EMOTIONS, 1, 0.1)
    mixed = np.random.default_rng(1).permutation(labels).tolist()
    wrong.fit(motion.flatten(0, 1), by_label(motion, mixed))
    return part.eval(), wrong


def speak(part: ConformerDiffusion, offset: Tensor) -> Tensor:
    """Expression ``(8, 32, 16)`` of unseen neutral portraits that speak with an emotion."""
    clips = [talk(10_000 + seed, "neutral") for seed in range(UNSEEN)]
    motion, mouth = (torch.stack([clip[index] for clip in clips]) for index in (0, 1))
    told = {"emotion": offset.expand(UNSEEN, FRAMES, -1)}
    condition = Condition(mouth[:, 1:], motion[:, 0], torch.empty(UNSEEN, 0), told)
    return part.sample(condition, torch.Generator().manual_seed(0), steps=10)[..., :MOUTH]


def lips(expression: Tensor) -> float:
    truth = [talk(10_000 + seed, "neutral")[0][1:, :MOUTH] for seed in range(UNSEEN)]
    return float(np.mean([lip_correlation(*pair) for pair in zip(expression, truth, strict=True)]))


def changes(part: ConformerDiffusion, meaning: EmotionCondition) -> dict[str, list[Tensor]]:
    """Emotion → expression of each strength."""
    return {name: [speak(part, strength * meaning.named(name)) for strength in STRENGTHS] for name in MOODS}


def scored(shown: dict[str, list[Tensor]], neutral: Tensor) -> dict[str, list[dict[str, float]]]:
    known = true_offsets()
    return {
        name: [score_change((felt - neutral).mean((0, 1)), name, known) for felt in each]
        for name, each in shown.items()
    }


@pytest.mark.slow
def test_emotions_are_shown_as_much_as_told_while_the_lips_keep_speaking(trained):
    part, wrong = trained
    assert part.emotion is not None
    neutral = speak(part, part.emotion.named("neutral"))
    shown = changes(part, part.emotion)
    for name, scores in scored(shown, neutral).items():
        amounts = [score["amount"] for score in scores]
        assert amounts == sorted(amounts), name
        assert amounts == pytest.approx(STRENGTHS, rel=0.3), name
        assert all(score["direction"] > 0.9 and score["recognised"] for score in scores), name
        assert all(lips(felt) > 0.9 * lips(neutral) for felt in shown[name]), name
    mixed = scored(changes(part, wrong), neutral)  # the control: names that were learnt from shuffled labels
    assert max(abs(score["amount"]) for scores in mixed.values() for score in scores) < 0.35
