"""Scores of emotions: what the right change is, and that pictures which show it are told from those that do not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from talkingface.data.synthetic import render_clip
from talkingface.evaluation import emotions
from talkingface.evaluation.emotions import emotion_scores, score_change, true_offsets

PERSON, SEED, FRAMES = 5, 3, 12


def test_the_true_change_has_amount_and_direction_1():
    offsets = true_offsets()
    for name, offset in offsets.items():
        assert score_change(offset, name, offsets) == pytest.approx({"amount": 1, "direction": 1, "recognised": 1})


def test_half_of_it_another_one_and_none():
    offsets = true_offsets()
    half = score_change(0.5 * offsets["happy"], "happy", offsets)
    assert half == pytest.approx({"amount": 0.5, "direction": 1, "recognised": 1})
    other = score_change(offsets["sad"], "happy", offsets)
    assert other["direction"] < 0
    assert other["recognised"] == 0
    for name in offsets:
        assert score_change(torch.zeros(16), name, offsets) == {"amount": 0, "direction": 0, "recognised": 0}


class Actor:
    """Draws what it is told, or nothing but a neutral face."""

    renderer = SimpleNamespace(size=64)

    def __init__(self, listens):
        self.listens = listens

    def animate(self, source, *, audio, seed, crop, emotion, strength):
        told = emotion if self.listens else "neutral"
        frames = render_clip(PERSON, seed, FRAMES, 64, told, 2, audio=False).frames
        return SimpleNamespace(frames=lambda: iter([frames]))


def scores(listens, monkeypatch):
    monkeypatch.setattr(emotions, "MOODS", ("angry", "happy"))
    monkeypatch.setattr(emotions, "STRENGTHS", (1.0,))
    return emotion_scores(Actor(listens), [PERSON], SEED, FRAMES)


def test_faces_that_show_an_emotion_are_told_from_those_that_do_not(monkeypatch):
    neutral, *shown = scores(True, monkeypatch)
    assert set(neutral) == {"identity", "emotion", "strength", "lip-correlation"}
    assert [(row["emotion"], row["recognised"]) for row in shown] == [("angry", 1.0), ("happy", 1.0)]
    assert np.array([row["amount"] for row in shown]) == pytest.approx(1.0, abs=0.35)
    assert min(row["direction"] for row in shown) > 0.8
    still = scores(False, monkeypatch)[1:]  # the control
    assert [row["amount"] for row in still] == [0.0, 0.0]
