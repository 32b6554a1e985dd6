"""How synthetic people move: smooth, in range, with blinks, glances and nods like people's."""

import numpy as np
import pytest

from talkingface.data.synthetic import EXPRESSIONS, Phoneme, emotion_offset, vector
from talkingface.data.synthetic.motion import blinks, draw_trajectory, glances, limited, soft_limit, wander
from talkingface.data.synthetic.visemes import mouth_track

COLUMN = {name: index for index, name in enumerate(EXPRESSIONS)}
LONG = 25 * 240


def rng(seed=0):
    return np.random.default_rng(seed)


def trajectory(seed=0, frames=200, mouth=None, emotion="neutral", stresses=()):
    mouth = np.zeros((frames, len(EXPRESSIONS)), np.float32) if mouth is None else mouth
    return draw_trajectory(rng(seed), frames, mouth, emotion_offset(emotion, 3), emotion, stresses)


def test_wandering_has_unit_variance_and_stays_in_its_band():
    process = wander(rng(), LONG, 0.2, 1.0)
    power = np.abs(np.fft.rfft(process - process.mean())) ** 2
    frequency = np.fft.rfftfreq(LONG, 1 / 25)
    assert process.std() == pytest.approx(1.0, abs=0.1)
    assert power[(frequency > 0.15) & (frequency < 1.1)].sum() > 0.98 * power.sum()


def test_limits_bend_instead_of_cutting():
    values = np.linspace(-100, 100, 401)
    bent = soft_limit(values, 30.0)
    assert np.abs(bent).max() <= 30
    assert (np.diff(bent) >= 0).all()
    assert bent[np.abs(values) < 3] == pytest.approx(values[np.abs(values) < 3], abs=0.02)


def test_pose_stays_in_its_range_for_everybody():
    poses = np.concatenate([trajectory(seed, emotion="sad").pose for seed in range(30)])
    assert (np.abs(poses) <= (30, 20, 15)).all()
    assert (poses.std(axis=0) > (7, 4, 3)).all()  # and uses the range


def test_the_head_never_jerks():
    for seed in range(10):
        path = trajectory(seed)
        assert np.abs(np.diff(path.pose, axis=0)).max() < 4  # degrees a frame
        assert np.abs(np.diff(path.neck, axis=0)).max() < 0.015  # of the frame
        assert np.abs(np.diff(path.zoom)).max() < 0.015 * path.zoom.mean()


def test_the_head_nods_on_stressed_syllables():
    plain, nodding = trajectory(3), trajectory(3, stresses=(2.0, 4.0, 6.0))
    dip = nodding.pose[:, 1] - plain.pose[:, 1]
    time = (np.arange(200) + 0.5) / 25
    near = np.min([np.abs(time - at) for at in (2.0, 4.0, 6.0)], axis=0)
    assert dip[near < 0.06].mean() > 0.4
    assert np.abs(dip[near > 0.6]).max() < 0.01


def test_people_blink_about_17_times_a_minute():
    shut = np.concatenate([blinks(rng(seed), LONG) > 0.5 for seed in range(5)])
    count = (np.diff(shut.astype(int)) == 1).sum()
    assert 13 <= count / (5 * LONG / 25 / 60) <= 21


def test_a_blink_takes_a_tenth_to_three_tenths_of_a_second():
    closure = blinks(rng(1), LONG)
    assert closure.min() >= 0
    assert closure.max() > 0.9
    moving = np.concatenate([[False], closure > 0.02, [False]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(moving) == 1), np.flatnonzero(np.diff(moving) == -1)
    seconds = (ends - starts) / 25
    assert seconds.min() >= 0.1
    assert seconds.max() <= 0.32
    assert (starts[1:] - starts[:-1]).min() >= 0.5 * 25 - 1


def test_eyes_rest_on_a_target_and_jump_to_the_next():
    gaze = glances(rng(2), LONG)
    steps = np.linalg.norm(np.diff(gaze, axis=0), axis=1)
    assert np.median(steps) < 1e-3
    assert steps.max() > 0.2
    assert 0.03 < (steps > 0.05).mean() < 0.2
    assert np.abs(gaze).max() <= 0.8 + 1e-6


def test_eyes_hold_their_target_while_the_head_turns():
    path = trajectory(4, frames=1000)
    turn, gaze = path.pose[:, 0], path.expression[:, COLUMN["gaze_x"]]
    assert np.corrcoef(turn, gaze)[0, 1] > 0.2  # positive yaw turns the head left, positive gaze looks right


def test_lips_that_must_close_close_in_any_mood():
    mouth = np.tile(vector(press=1.0), (50, 1))
    expression = trajectory(0, 50, mouth, "fear").expression
    assert expression[:, COLUMN["lip_part"]].max() < 1e-6
    assert expression[:, COLUMN["jaw"]].max() < 1e-6
    assert trajectory(0, 50, None, "fear").expression[:, COLUMN["lip_part"]].min() > 0.1  # the control


def test_every_parameter_is_kept_in_its_range():
    wild = np.random.default_rng(0).normal(scale=3, size=(50, len(EXPRESSIONS)))
    kept = limited(wild)
    assert kept.max() <= 1
    assert kept.min() == -1
    assert kept[:, COLUMN["jaw"]].min() == 0
    inside = np.full((1, len(EXPRESSIONS)), 0.3)
    assert np.allclose(limited(inside), inside)


def test_lips_shut_for_m_even_between_open_vowels():
    parts = (Phoneme("aa", 0, 0.3), Phoneme("m", 0.3, 0.38), Phoneme("aa", 0.38, 0.8))
    track = mouth_track(parts, 40, fps=50.0)
    time = (np.arange(40) + 0.5) / 50
    shut = track[np.argmin(np.abs(time - 0.34))]
    assert shut[COLUMN["press"]] > 0.6
    assert shut[COLUMN["jaw"]] < 0.3 * track[:, COLUMN["jaw"]].max()


def test_the_mouth_is_widest_in_the_middle_of_a_vowel():
    """Neither ahead of the sound nor behind it."""
    parts = (Phoneme("sil", 0, 0.4), Phoneme("aa", 0.4, 0.6), Phoneme("sil", 0.6, 1.0))
    jaw = mouth_track(parts, 200, fps=200.0)[:, COLUMN["jaw"]]
    assert (jaw.argmax() + 0.5) / 200 == pytest.approx(0.5, abs=0.01)
    assert jaw == pytest.approx(jaw[::-1], abs=0.02)


def test_a_diphthong_changes_its_shape():
    jaw = mouth_track((Phoneme("ay", 0, 0.6),), 60, fps=100.0)[:, COLUMN["jaw"]]
    assert jaw[10] > jaw[50] + 0.3


def test_a_silent_mouth_is_at_rest():
    assert not mouth_track((Phoneme("sil", 0, 1.0),), 25).any()
