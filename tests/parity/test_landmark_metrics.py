"""Landmark, motion, blink and lip numbers against the published formulas' (SPEC 3.5 to 3.7)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from talkingface import metrics
from talkingface.metrics.functional import blink, landmarks, loudness, motion

DATA = Path(__file__).parent / "data"
ROOT = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
NUMBERS = (ROOT / "metrics" / "oracles" / "landmark_motion.json", DATA / "landmark_motion.json")
TOLERANCE = 1e-9  # of the value; the oracle is float64


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    """The shipped numbers belong to the shipped arrays; where the reference is, both are taken from there."""
    found = next((path for path in NUMBERS if path.is_file()), None)
    if found is None:
        pytest.skip(f"no landmark_motion.json in {NUMBERS[0].parent}")
    content: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def faces(oracle: Callable[..., Any]) -> tuple[Tensor, Tensor]:
    arrays = oracle("metrics", "landmarks")
    return arrays["pred"], arrays["gt"]


@pytest.fixture
def tracks(oracle: Callable[..., Any]) -> Any:
    return oracle("metrics", "motion")


def assert_equal(ours: Any, theirs: float, tolerance: float = TOLERANCE) -> None:
    difference = abs(float(ours) - theirs)
    print(f"{float(ours):.12g}, difference {difference:.1e}")
    assert difference <= tolerance * max(1.0, abs(theirs))


CLASSES = {
    "F_LMD_pixels(mean L2 over 68, mean over frames)": metrics.FaceLMD,
    "M_LMD_pixels(48:68 mean L2)": metrics.MouthLMD,
    "M_LMD_centred(mouth centroid removed per frame)": metrics.CentredMouthLMD,
    "ATVGnet_LMD(sum over 20 centred mouth pts, mean over frames)": metrics.SummedMouthLMD,
    "NME_interocular36_45(68)": metrics.RelativeFaceLMD,
    "F_LMD_after_similarity_procrustes": metrics.AlignedFaceLMD,
    "M_LMD_after_similarity_procrustes": metrics.AlignedMouthLMD,
    "AKD_FOMM(mean ABS over all coords)": metrics.AKD,
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_landmark_metric_is_the_published_number(name, faces, numbers):
    assert_equal(CLASSES[name]()(*faces), numbers["lmd"][name])


MOUTH = landmarks.MOUTH
FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "F_LMD_centred(68)": lambda p, g: landmarks.point_distance(landmarks.centred(p), landmarks.centred(g)),
    "vico_LipLMD(mean ABS over x,y of 48:68)": lambda p, g: landmarks.absolute_difference(p[:, MOUTH], g[:, MOUTH]),
    "bangskitchen_M_LMD(sum over mouth / (T*68))": lambda p, g: (
        landmarks.point_distance(p[:, MOUTH], g[:, MOUTH]) * 20 / 68
    ),
    "NME_interpupil(68)": lambda p, g: landmarks.point_distance(p, g) / landmarks.interpupil(g),
    "LMD_velocity(mean L2 of frame differences)": lambda p, g: landmarks.point_distance(p.diff(dim=0), g.diff(dim=0)),
    "mouth-open error (|62-66| gap, px)": lambda p, g: (landmarks.lip_opening(p) - landmarks.lip_opening(g)).abs(),
    "M_LMD_if_256_landmarks_were_in_512px": lambda p, g: landmarks.point_distance(p[:, MOUTH] * 2, g[:, MOUTH] * 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_landmark_formula_is_the_published_number(name, faces, numbers):
    assert_equal(FORMULAS[name](*faces).mean(), numbers["lmd"][name])


def test_every_landmark_number_of_the_oracle_is_proven(numbers):
    assert set(numbers["lmd"]) == set(CLASSES) | set(FORMULAS)


def test_no_two_conventions_give_one_number(faces):
    values = [float(cls()(*faces)) for cls in CLASSES.values()]
    assert len({round(value, 6) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("name", "order", "fps"),
    [
        ("mean speed px/s", 1, 25.0),
        ("mean accel px/s2", 2, 25.0),
        ("mean jerk px/s3 (jitter)", 3, 25.0),
        ("jitter per frame^3 (no fps)", 3, 1.0),
    ],
)
def test_a_derivative_is_the_published_number(name, order, fps, faces, numbers):
    assert_equal(motion.derivative(faces[1], order, fps).mean(), numbers["motion"][name])


def test_raw_jitter_is_the_published_number(faces, numbers):
    assert_equal(metrics.RawJitter()(faces[1], 25.0), numbers["motion"]["mean jerk px/s3 (jitter)"])


def test_stabilised_jitter_is_another_number(faces, numbers):  # the control
    assert metrics.Jitter()(faces[1], 25.0) < numbers["motion"]["mean jerk px/s3 (jitter)"] - 100


def test_blinks_are_the_published_ones(tracks, numbers):
    wanted, openness = numbers["motion"], tracks["ear"]
    assert_equal(openness.nanquantile(0.5), wanted["EAR median"])
    assert_equal(openness.min(), wanted["EAR min"])
    closed = blink.closed_frames(openness)
    assert closed.nonzero()[:, 0].tolist() == wanted["blink frames (EAR<0.6 median)"]
    assert blink.blink_onsets(closed).tolist() == wanted["blink onsets"]
    assert_equal(len(blink.blink_onsets(closed)) / (len(closed) / 25 / 60), wanted["blinks per minute"])


def test_the_eye_aspect_ratio_of_the_faces_is_that_of_the_oracle(tracks, faces):
    difference = (blink.eye_aspect_ratio(faces[1]) - tracks["ear"]).abs().max()
    assert difference < TOLERANCE


def test_the_lip_opening_of_the_faces_is_that_of_the_oracle(tracks, faces):
    assert (landmarks.lip_opening(faces[1]) - tracks["opening"]).abs().max() < TOLERANCE


def test_blink_rate_of_the_faces_is_the_published_number(faces, numbers):
    assert_equal(metrics.BlinkRate()(faces[1], 25.0), numbers["motion"]["blinks per minute"])


def test_head_motion_is_the_published_number(tracks, numbers):
    spread, wanted = motion.pose_spread(tracks["pose"]), numbers["motion"]
    for ours, theirs in zip(spread, wanted["pose std deg (pitch,yaw,roll) population"], strict=True):
        assert_equal(ours, theirs)
    assert_equal(spread.mean(), wanted["pose diversity = mean of the 3 std"])
    assert_equal(
        motion.head_motion_complexity(tracks["pose"]), wanted["THEval head-motion complexity (no translation)"]
    )


def test_beats_are_the_published_ones(tracks, numbers):
    beats, wanted = motion.motion_beats(tracks["pose"]), numbers["motion"]
    assert beats.tolist() == wanted["motion beats (local minima of mean |dpose|)"] == tracks["motion_beats"].tolist()
    audio = tracks["audio_beats"]
    assert_equal(motion.beat_alignment(beats, audio), wanted["beat-align sigma=3 frames (mean over motion beats)"])
    assert_equal(motion.beat_alignment(audio, beats), wanted["beat-align sigma=3 (mean over audio beats)"])


def test_lips_and_loudness_are_the_published_numbers(tracks, faces, numbers):
    opening, level, wanted = tracks["opening"], tracks["rms"], numbers["motion"]
    assert_equal(loudness.correlation(opening, level), wanted["pearson(opening,rms)"])
    assert_equal(loudness.scaled_difference(opening, level), wanted["THEval lip-sync mean|norm opening - norm rms|"])
    assert loudness.best_lag(opening, level) == wanted["xcorr best lag (frames, opening delayed vs rms)"]
    relative = opening / landmarks.interocular(faces[1])
    ours = loudness.silent_lip_deviations(relative[:10]).quantile(0.5)
    assert_equal(ours, wanted["silent-lip MAD (median |x-mean|) on first 10 frames opening/iod"])


def test_expression_and_pose_distances_of_parameters_are_the_published_numbers(oracle, numbers):
    arrays = oracle("metrics", "embeddings")  # their first 64 columns stand for expression, the next 3 for pose
    first, second = arrays["a"], arrays["b"]
    for columns, wanted in zip(
        (slice(0, 64), slice(64, 67)), numbers["aed"]["3DMM_AED/APD style mean abs (64 exp, 3 pose)"], strict=True
    ):
        ours = motion.mean_absolute_difference(first[:, columns], second[:, columns]).mean()
        assert_equal(ours, wanted, 1e-7)  # the arrays are stored in float32
    ours = metrics.ExpressionDistance()(first[:, :64], second[:, :64])
    assert_equal(ours, numbers["aed"]["3DMM_AED/APD style mean abs (64 exp, 3 pose)"][0], 1e-7)


def test_a_number_of_the_motion_oracle_would_notice_another_frame_rate(faces, numbers):
    wrong = motion.derivative(faces[1], 3, 30.0).mean()
    assert abs(wrong - numbers["motion"]["mean jerk px/s3 (jitter)"]) > 1000
