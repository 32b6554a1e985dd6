"""Single synthetic frames: what is said about a frame is what the picture shows."""

import numpy as np
import pytest
import torch

from talkingface.core import geometry
from talkingface.data.synthetic import EMOTIONS, EXPRESSIONS, contact_sheet, emotion_offset, render_frame, vector
from talkingface.data.synthetic.render import rotation

PERSON = 5  # bright skin and blue eyes, so that features are told by their colour
SIZE = 96
POSES = [(0, 0, 0), (25, 0, 0), (-25, 0, 0), (0, 15, 0), (0, -15, 0), (0, 0, 12), (-18, 8, -9)]


def frame(pose=(0, 0, 0), location=(0.5, 0.54), scale=0.42, size=SIZE, person=PERSON, **expression):
    return render_frame(person, pose, location, scale, vector(**expression), size)


def mouth_opening(points):
    return np.linalg.norm(points[62] - points[66])


def eye_ratio(points, first):
    """Eye aspect ratio of the six landmarks that begin at ``first``."""
    p = points[first : first + 6]
    return (np.linalg.norm(p[1] - p[5]) + np.linalg.norm(p[2] - p[4])) / (2 * np.linalg.norm(p[0] - p[3]))


def test_a_frame_has_the_types_shapes_and_ranges_it_promises():
    picture, points = frame(size=64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert ((points > 0) & (points < 1)).all()


@pytest.mark.parametrize("pose", [(20.0, 0.0, 0.0), (0.0, 20.0, 0.0), (0.0, 0.0, 20.0), (-31.0, 17.0, 9.0)])
def test_convention_rotation_is_the_one_of_the_core(pose):
    assert np.allclose(rotation(*pose), geometry.rotation(torch.tensor(pose)).numpy(), atol=1e-6)


def test_convention_positive_yaw_turns_the_nose_to_the_left():
    def lead(yaw):  # of the nose before the middle of the eye corners
        points = frame((yaw, 0, 0), size=16)[1]
        return points[30, 0] - points[[36, 45], 0].mean()

    assert lead(20) < -0.03
    assert lead(-20) == pytest.approx(-lead(20), abs=1e-3)


def test_convention_positive_pitch_turns_the_nose_down_and_positive_roll_clockwise():
    def nose_below_eyes(pitch):
        points = frame((0, pitch, 0), size=16)[1]
        return points[30, 1] - points[36:48, 1].mean()

    points = frame((0, 0, 12), size=16)[1]
    eyes = points[45] - points[36]
    assert nose_below_eyes(15) > nose_below_eyes(0) + 0.02 > nose_below_eyes(-15) + 0.02
    assert np.rad2deg(np.arctan2(eyes[1], eyes[0])) == pytest.approx(12, abs=0.5)


def test_landmarks_are_in_the_order_of_ibug():
    points = frame(size=16)[1]
    assert (np.diff(points[:17, 0]) > 0).all()  # jaw from left to right, lowest at the chin
    assert points[:17, 1].argmax() == 8
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) > 0).all()
    assert (np.diff(points[31:36, 0]) > 0).all()
    for first in (36, 42):
        eye = points[first : first + 6]
        assert eye[0, 0] < eye[1, 0] < eye[2, 0] < eye[3, 0]
        assert eye[1:3, 1].max() < eye[4:6, 1].min()
    assert (np.diff(points[48:55, 0]) > 0).all()
    assert (np.diff(points[54:60, 0]) < 0).all()
    assert points[51, 1] < points[62, 1] <= points[66, 1] < points[57, 1]
    assert points[48, 0] < points[60, 0] < points[64, 0] < points[54, 0]


def test_the_face_is_mirrored_when_yaw_is_mirrored():
    flip = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    flip += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    flip += [64, 63, 62, 61, 60, 67, 66, 65]
    left, right = frame((17, 5, 0), size=16)[1], frame((-17, 5, 0), size=16)[1]
    assert np.allclose(1 - right[flip, 0], left[:, 0], atol=2e-3)
    assert np.allclose(right[flip, 1], left[:, 1], atol=2e-3)


@pytest.mark.parametrize("pose", POSES)
def test_the_pupils_are_dark_where_the_eye_landmarks_say(pose):
    picture, points = frame(pose, size=192)
    luma = picture.astype(float).mean(axis=2)
    for first in (36, 42):
        eye = points[first : first + 6] * 192
        x, y = eye.mean(axis=0)
        pupil = luma[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean()
        cheek_x, cheek_y = eye.mean(axis=0) + 0.35 * (points[33] * 192 - points[27] * 192)
        cheek = luma[int(cheek_y), int(cheek_x)]
        assert pupil < 0.65 * cheek


@pytest.mark.parametrize("pose", POSES)
def test_the_lips_are_redder_than_the_skin_around_where_the_landmarks_say(pose):
    picture, points = frame(pose, size=192)

    def redness(point):
        x, y = (point * 192).astype(int)
        patch = picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
        return patch[0] / (patch[1] + 1)

    lower_lip = redness(0.5 * (points[57] + points[66]))
    chin = redness(0.45 * points[57] + 0.55 * points[8])
    assert lower_lip > 1.1 * chin


def test_moving_the_location_moves_picture_and_landmarks_alike():
    shift = 12 / SIZE
    before, points = frame(location=(0.45, 0.54))
    after, moved = frame(location=(0.45 + shift, 0.54))
    assert np.allclose(moved - points, (shift, 0), atol=1e-5)
    left, top = (points[17:, :].min(axis=0) * SIZE).astype(int) + 2
    right, low = (points[17:, :].max(axis=0) * SIZE).astype(int) - 2
    same = before[top:low, left:right].astype(int) - after[top:low, left + 12 : right + 12]
    still = before[top:low, left:right].astype(int) - after[top:low, left:right]
    assert np.abs(same).mean() < 1 < 10 < np.abs(still).mean()


def test_location_is_the_nose_tip_and_scale_is_brow_to_chin():
    for pose in POSES:
        points = frame(pose, (0.43, 0.56), 0.37, size=16, jaw=0.4)[1]
        assert points[30] == pytest.approx([0.43, 0.56], abs=1e-5)
        assert np.linalg.norm(points[21:23].mean(axis=0) - points[8]) == pytest.approx(0.37, abs=1e-4)


def test_a_number_as_location_places_the_nose_at_the_usual_height():
    assert np.array_equal(frame(location=0.5)[0], frame(location=(0.5, 0.54))[0])


def test_a_tenth_of_a_pixel_changes_the_picture_a_little():
    first, second, far = (frame(location=(0.5 + step / SIZE, 0.54))[0].astype(int) for step in (0, 0.1, 1))
    little = np.abs(first - second).mean()
    assert 0 < little < 0.3 * np.abs(first - far).mean()


def test_opening_the_jaw_parts_the_lips_and_shows_the_dark_inside():
    openings, darkness = [], []
    for jaw in (0.0, 0.5, 1.0):
        picture, points = frame(jaw=jaw, scale=0.42, size=128)
        openings.append(mouth_opening(points))
        x, y = (points[[62, 66]].mean(axis=0) * 128).astype(int)
        darkness.append(picture[y - 1 : y + 2, x - 3 : x + 4].mean())
    assert openings[0] < 0.005 < 0.03 < openings[1] < openings[2]
    assert darkness[2] < 0.6 * darkness[0]


def test_parting_the_lips_shows_teeth():
    def whiteness(part):  # blue over red of the whitest pixel between the lips
        picture, points = frame(size=128, lip_part=part)
        x, y = (points[[62, 66]].mean(axis=0) * 128).astype(int)
        patch = picture[y - 2 : y + 3, x - 4 : x + 5].astype(float)
        return (patch[..., 2] / patch[..., 0]).max()

    assert whiteness(1.0) > whiteness(0.0) + 0.1


def test_blinks_close_the_eye_they_name():
    opened = frame(size=16)[1]
    wink = frame(size=16, blink_left=1.0)[1]
    assert eye_ratio(opened, 36) > 0.2
    assert eye_ratio(wink, 42) < 0.03  # the person's left eye is on the right of the picture
    assert eye_ratio(wink, 36) == pytest.approx(eye_ratio(opened, 36), abs=1e-3)


def test_gaze_moves_the_iris_but_not_the_face():
    def iris_x(gaze):  # middle of what is bluer than red in the left eye; this person has blue eyes
        picture, points = frame(gaze_x=gaze, size=192, scale=0.5)
        left, right = (points[[36, 39], 0] * 192).astype(int)
        rows = slice(int(points[37, 1] * 192), int(points[41, 1] * 192))
        eye = picture[rows, left:right].astype(int)
        return np.nonzero(eye[..., 2] > eye[..., 0] + 15)[1].mean(), points

    (left, before), (right, after) = iris_x(-0.6), iris_x(0.6)
    assert right > left + 3
    assert np.abs(before[:36] - after[:36]).max() < 1e-6


@pytest.mark.parametrize(
    ("emotion", "names"),
    [
        ("happy", ["smile"]),
        ("sad", ["brow_sad"]),
        ("angry", ["brow_furrow"]),
        ("surprised", ["brow_raise", "eye_wide", "jaw"]),
        ("fear", ["eye_wide", "brow_sad"]),
        ("disgusted", ["sneer"]),
        ("contempt", ["smirk"]),
    ],
)
def test_an_emotion_moves_its_parameters_more_with_intensity(emotion, names):
    for name in names:
        column = EXPRESSIONS.index(name)
        levels = [emotion_offset(emotion, intensity)[column] for intensity in (1, 2, 3)]
        assert 0 < levels[0] < levels[1] < levels[2]


def test_neutral_moves_nothing_and_comes_first():
    assert EMOTIONS[0] == "neutral"
    assert not emotion_offset("neutral", 3).any()


def test_a_smile_lifts_the_mouth_corners_and_a_frown_drops_them():
    def corners(value):
        points = frame(size=16, smile=value)[1]
        return points[[48, 54], 1].mean() - points[51, 1]

    assert corners(1.0) < corners(0.0) - 0.008
    assert corners(-1.0) > corners(0.0) + 0.008


@pytest.mark.parametrize(("name", "sign"), [("brow_raise", -1), ("brow_furrow", 1), ("brow_sad", -1)])
def test_brows_move_the_way_their_name_says(name, sign):
    def inner(value):
        points = frame(size=16, **{name: value})[1]
        return points[21:23, 1].mean() - points[36:48, 1].mean()

    assert sign * (inner(1.0) - inner(0.0)) > 0.005


def test_rounding_narrows_and_widening_widens_the_mouth():
    def width(**expression):
        points = frame(size=16, **expression)[1]
        return points[54, 0] - points[48, 0]

    assert width(rounding=1.0) < 0.75 * width() < 1.1 * width() < width(lip_width=1.0)


def test_faces_of_different_people_differ_more_than_frames_of_one():
    frames = {
        person: [frame((yaw, 0, 0), person=person, size=32)[0].astype(float) for yaw in (-8, 8)] for person in range(4)
    }
    within = np.mean([np.abs(a - b).mean() for a, b in frames.values()])
    between = np.mean([np.abs(frames[i][0] - frames[j][0]).mean() for i in range(4) for j in range(i)])
    assert between > 1.5 * within


def test_the_contact_sheet_shows_every_identity_in_every_column(tmp_path):
    from PIL import Image

    contact_sheet(
        tmp_path / "sheet.png", identities=2, columns=(((0, 0, 0), "happy"), ((20, 0, 0), {"jaw": 0.5})), size=32
    )
    assert Image.open(tmp_path / "sheet.png").size == (64, 64)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
