"""On people it has never seen, the reader tells poses and expressions apart; transfer errors order as they should."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from talkingface.core.geometry import geodesic_angle, rotation
from talkingface.data.synthetic import emotion_offset, render_clip, render_frame
from talkingface.evaluation.face_reader import SIZE, FaceReading, read_faces, readable
from talkingface.evaluation.synthetic import (
    SYSTEMS,
    cross_reenactments,
    score_frames,
    synthetic_scores,
)
from talkingface.motion import LatentMotion
from talkingface.pipelines.animator import Animator
from talkingface.renderers import LIARenderer

PEOPLE = list(range(5_000_000, 5_000_006))  # the reader was made from others
# what the reader reaches on the 60 test people of benchmarks/face_reader.py, and a margin of a third or more:
# 2.6°, 0.61 px at 64 px, 0.13; with a blur of 1.2 px 2.4°, 0.60 px, 0.16
LIMITS = {"pose-error": 4.0, "landmark-error": 0.9, "expression-rmse": 0.18}
SOFT_LIMITS = {"pose-error": 4.0, "landmark-error": 0.9, "expression-rmse": 0.21}


class TrueModel:
    """A model that knows: it draws the source person with the pose and expression asked for; mixes in the source's."""

    class renderer:  # noqa: N801 - an attribute of a model
        size = SIZE

    def __init__(self, kept=0.0):
        self.kept = kept

    def appearance(self, source):
        return source

    def motion(self, frames):
        return torch.from_numpy(frames.copy())

    def render(self, source, motion):
        return np.clip(self.kept * source + (1 - self.kept) * motion.numpy(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clips():
    return [render_clip(person, 11, 24, SIZE, audio=False) for person in PEOPLE]


def joined(clips, name):
    return np.concatenate([getattr(clip, name)[::4] for clip in clips])


def truth(pose, expression, landmarks):
    return FaceReading(rotation(torch.from_numpy(pose)), torch.from_numpy(expression), torch.from_numpy(landmarks))


def known(clips):
    return truth(*(joined(clips, name) for name in ("pose", "expression", "landmarks")))


@pytest.mark.parametrize(("sigma", "limits"), [(0.0, LIMITS), (1.2, SOFT_LIMITS)])
def test_unseen_people_are_read_within_the_declared_errors(clips, sigma, limits):
    frames = gaussian_filter(joined(clips, "frames"), (0, sigma, sigma, 0))
    scores = score_frames(frames, known(clips))
    assert all(scores[name] < limit for name, limit in limits.items()), scores


def test_pictures_of_nothing_are_beyond_the_limits(clips):
    """The control: a reader of constants would fail above."""
    grey = np.full_like(joined(clips, "frames"), 128)
    scores = score_frames(grey, known(clips))
    assert all(scores[name] > limit for name, limit in SOFT_LIMITS.items()), scores


def test_reading_beats_guessing_the_mean(clips):
    pose, landmarks = joined(clips, "pose"), joined(clips, "landmarks")
    right, scores = known(clips), score_frames(joined(clips, "frames"), known(clips))
    guess = rotation(torch.from_numpy(pose.mean(0)))
    assert scores["pose-error"] < 0.4 * float(geodesic_angle(guess, right.rotation).mean())
    assert scores["landmark-error"] < 0.3 * float(np.linalg.norm(landmarks - landmarks.mean(0), axis=-1).mean()) * SIZE
    felt = readable(right.expression)
    assert scores["expression-rmse"] < 0.6 * float((felt - felt.mean(0)).square().mean().sqrt())


@pytest.mark.parametrize("person", PEOPLE[:3])
def test_the_pose_error_grows_with_the_perturbation(person):
    steps = [0, 6, 12, 18, 24]
    straight = truth(
        np.zeros((1, 3), np.float32), np.zeros((1, 16), np.float32), render_frame(person, (0, 0, 0), size=SIZE)[1][None]
    )
    errors = []
    for yaw in steps:
        both = np.stack([render_frame(person, (side * yaw, 0, 0), size=SIZE)[0] for side in (-1, 1)])
        errors.append(np.mean([score_frames(frame[None], straight)["pose-error"] for frame in both]))
    assert errors == sorted(errors)
    assert errors[-1] == pytest.approx(24, abs=4)


def test_the_expression_read_follows_the_emotion_drawn():
    """Its own emotion explains a reading better than any other emotion does, in most cases."""
    moods = ("angry", "disgusted", "happy", "sad", "surprised")
    drawn = np.stack([emotion_offset(mood, 3) for mood in moods])
    right = 0
    for person in PEOPLE[:4]:
        frames = np.stack([render_frame(person, (5, 0, 0), expression=values, size=SIZE)[0] for values in drawn])
        found = readable(read_faces(frames).expression)
        distance = torch.cdist(found, readable(torch.from_numpy(drawn)))
        right += int((distance.argmin(1) == torch.arange(len(moods))).sum())
    assert right >= 17  # of 20; guessing gives 4


@pytest.fixture(scope="module")
def rows():
    return synthetic_scores(TrueModel(), PEOPLE[:4], seed=3, frames=6)


def mean(rows, task, system, name):
    return np.mean([row[name] for row in rows if (row["task"], row["system"]) == (task, system)])


def test_every_clip_has_a_row_for_each_system(rows):
    assert len(rows) == 2 * 4 * len(SYSTEMS)
    assert {row["identity"] for row in rows} == set(PEOPLE[:4])
    assert all(("expression-leakage" in row) == (row["task"] == "cross") for row in rows)


def test_an_animator_is_taken_as_it_is():
    torch.manual_seed(0)
    encoder = LatentMotion(size=SIZE, width=0.0625, code_dim=64)
    animator = Animator(encoder, LIARenderer(encoder, size=SIZE, width=0.0625), device="cpu")
    rows = synthetic_scores(animator, PEOPLE[:2], seed=3, frames=3)
    assert mean(rows, "self", "model", "landmark-error") > mean(rows, "self", "ground truth", "landmark-error")


def test_a_model_that_returns_the_driving_frame_scores_as_the_truth_on_itself(rows):
    for name in ("pose-error", "expression-rmse", "landmark-error"):
        assert mean(rows, "self", "model", name) == mean(rows, "self", "ground truth", name)


# not a copy in self-reenactment: within six frames, the first is still close to the truth
@pytest.mark.parametrize(
    ("task", "control"), [("self", "shuffled"), ("cross", "shuffled"), ("cross", "copy the source")]
)
@pytest.mark.parametrize("name", ["pose-error", "expression-rmse", "landmark-error"])
def test_the_truth_beats_the_controls(rows, task, control, name):
    assert mean(rows, task, "ground truth", name) < mean(rows, task, control, name)


def test_leakage_of_the_truth_is_small_and_of_a_copy_large(rows):
    assert abs(mean(rows, "cross", "ground truth", "expression-leakage")) < 0.15
    assert mean(rows, "cross", "ground truth", "expression-transfer") > 0.6
    assert mean(rows, "cross", "copy the source", "expression-leakage") > 0.7
    assert abs(mean(rows, "cross", "copy the source", "expression-transfer")) < 0.2


def test_half_of_the_source_expression_leaks_about_a_half():
    found = []
    for case in cross_reenactments(PEOPLE[:4], 3, 2, SIZE):
        half = 0.5 * (case.truth.expression + case.portrait_expression)
        nose = case.truth.landmarks[:, 30]
        frames = np.stack(
            [
                render_frame(case.identity, clip_pose, place, scale, values, SIZE)[0]
                for clip_pose, place, scale, values in zip(
                    euler(case.truth.rotation), nose, case.truth.scale, half, strict=True
                )
            ]
        )
        found.append(score_frames(frames, case.truth, case.portrait_expression)["expression-leakage"])
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)


def euler(matrix):
    """Yaw, pitch, roll in degrees of rotations, the inverse of :func:`talkingface.core.geometry.rotation`."""
    yaw = torch.asin(-matrix[:, 2, 0])
    pitch = torch.atan2(matrix[:, 2, 1], matrix[:, 2, 2])
    roll = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], dim=1)).numpy()


def test_source_and_driving_clip_never_share_their_emotion():
    for count in (2, 4, 5):
        for case in cross_reenactments(PEOPLE[:count], 3, 2, 32):
            assert (case.truth.expression - case.portrait_expression).abs().max() > 0.4, case.clip
