"""The shipped reader as an instrument: what it takes, what it gives, and how metrics are served by it."""

import numpy as np
import pytest
import torch

from talkingface.core.errors import ShapeError, WeightsError
from talkingface.data.synthetic import EXPRESSIONS, render_frame, vector
from talkingface.evaluation import face_reader, synthetic_extractors
from talkingface.evaluation.face_reader import (
    READABLE,
    WEIGHTS,
    FaceReader,
    align,
    load_face_reader,
    packed,
    read_faces,
    readable,
    unpacked,
    view,
)
from talkingface.evaluation.synthetic_extractors import FEATURE
from talkingface.metrics.track import Track
from talkingface.weights import sha256

PERSON = 4_000_000


@pytest.fixture(scope="module")
def frames():
    """Three poses of one person at 64 px."""
    return np.stack([render_frame(PERSON, (yaw, 0, 0), size=64)[0] for yaw in (-15, 0, 15)])


def track(frames):
    return Track(torch.from_numpy(frames).movedim(-1, 1), synthetic_extractors.synthetic_extractors())


def test_a_reading_has_a_row_for_each_frame(frames):
    reading = read_faces(frames)
    assert reading.rotation.shape == (3, 3, 3)
    assert reading.expression.shape == (3, len(EXPRESSIONS))
    assert reading.landmarks.shape == (3, 68, 2)
    assert reading.location.shape == reading.scale.shape == (3,)


def test_rotations_are_rotations(frames):
    matrix = read_faces(frames).rotation
    assert torch.allclose(matrix @ matrix.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(3), atol=1e-5)


def test_location_and_scale_are_those_of_the_renderer():
    frame, landmarks = render_frame(PERSON, (0, 0, 0), (0.42, 0.5), 0.45, size=64)
    true = face_reader.FaceReading(torch.eye(3)[None], torch.zeros(1, 16), torch.from_numpy(landmarks)[None])
    assert (float(true.location), float(true.scale)) == pytest.approx((0.42, 0.45), abs=1e-5)
    reading = read_faces(frame[None])
    assert (float(reading.location), float(reading.scale)) == pytest.approx((0.42, 0.45), abs=0.03)


def test_a_row_does_not_depend_on_the_frames_beside_it(frames):
    many = read_faces(np.tile(frames, (30, 1, 1, 1)))  # more than one batch
    assert torch.allclose(many.landmarks[87:], read_faces(frames).landmarks, atol=1e-5)


def test_larger_and_wider_frames_are_read_as_their_centre_square():
    large, _ = render_frame(PERSON, (10, 5, 0), size=128)
    wide = np.pad(large, ((0, 0), (20, 20), (0, 0)))
    assert torch.equal(read_faces(large[None]).landmarks, read_faces(wide[None]).landmarks)


def test_brightness_and_contrast_change_little(frames):
    dim = (frames * 0.5 + 30).astype(np.uint8)
    assert torch.allclose(read_faces(frames).landmarks, read_faces(dim).landmarks, atol=0.01)


def test_the_extractors_are_named_as_metrics_ask_for_them(frames):
    assert set(synthetic_extractors.synthetic_extractors()) == {"landmarks", "pose", "expression", FEATURE}
    clip, reading = track(frames), read_faces(frames)
    assert torch.equal(clip.feature("pose"), reading.rotation)
    assert torch.equal(clip.feature("expression"), readable(reading.expression))
    assert torch.equal(clip.feature("landmarks"), reading.landmarks * 64)
    assert clip.feature("expression").shape == (3, len(READABLE))


def test_landmarks_of_a_wide_frame_are_pixels_of_that_frame():
    frame, landmarks = render_frame(PERSON, (0, 0, 0), size=128)
    wide = np.pad(frame, ((0, 0), (20, 20), (0, 0)))
    found = track(wide[None]).feature("landmarks")[0]
    assert torch.allclose(found, torch.from_numpy(landmarks) * 128 + torch.tensor([20, 0]), atol=10)


def test_all_features_share_one_pass(frames, monkeypatch):
    calls = []
    monkeypatch.setattr(synthetic_extractors, "read_faces", lambda *args: calls.append(1) or read_faces(*args))
    clip = track(frames)
    for name in ("pose", "expression", "landmarks"):
        clip.select([2, 0]).feature(name)
    assert len(calls) == 1


def test_the_card_names_the_shipped_weights():
    described = synthetic_extractors.synthetic_extractors()["pose"].describe()
    assert described["sha256"] == {FEATURE: sha256(WEIGHTS)}
    assert "64 px" in described["convention"]
    assert all(name in described["convention"] for name in READABLE)


def test_the_weights_are_small_and_not_a_fresh_network():
    assert WEIGHTS.stat().st_size < 620_000
    assert not torch.equal(load_face_reader().placement.head.weight, FaceReader().placement.head.weight)


def test_a_missing_weight_file_is_an_error_and_never_a_random_network(monkeypatch, tmp_path):
    monkeypatch.setattr(face_reader, "WEIGHTS", tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError, match="does not exist"):
        load_face_reader.__wrapped__()


def test_frames_that_are_not_pixels_are_refused(frames):
    with pytest.raises(ShapeError, match="uint8"):
        read_faces(frames.astype(np.float32))


def test_readable_takes_its_parameters_in_order():
    values = torch.from_numpy(vector(jaw=0.3, smile=-0.5))
    assert readable(values)[READABLE.index("jaw")] == pytest.approx(0.3)
    assert len(readable(values)) == len(READABLE)


def test_packing_keeps_weights_to_a_two_hundredth():
    torch.manual_seed(0)
    state = FaceReader().state_dict()
    back = unpacked(packed(state))
    assert back.keys() == state.keys()
    weight = "close_up.hidden.0.weight"
    assert (back[weight] - state[weight]).abs().max() <= state[weight].abs().max() / 200
    assert not torch.equal(back[weight], state[weight])


def test_alignment_undoes_a_similarity():
    usual = load_face_reader().placement.mean_landmarks
    angle = torch.tensor(0.3)
    matrix = 1.2 * torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    shift = torch.tensor([0.1, -0.05])
    found, moved = align((usual @ matrix.T + shift)[None], usual)
    assert torch.allclose(found[0], matrix, atol=1e-4)
    assert torch.allclose(moved[0], shift, atol=1e-4)


def test_a_face_looks_the_same_in_the_view_wherever_it_stands():
    views = []
    for place, scale in (((0.4, 0.5), 0.40), ((0.6, 0.6), 0.48)):
        frame, landmarks = render_frame(PERSON, (0, 0, 0), place, scale, size=64)
        image = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
        usual = load_face_reader().placement.mean_landmarks
        views.append(view(image, *align(torch.from_numpy(landmarks)[None], usual))[:, :, 12:-12, 12:-12])
    assert (views[0] - views[1]).abs().mean() < 0.03
    assert (views[0] - views[1].flip(-2)).abs().mean() > 0.06
