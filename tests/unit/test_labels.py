from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface.core.errors import MediaError
from talkingface.core.geometry import euler, rotation
from talkingface.metrics import FaceLMD, PoseDistance, Track, read_labels

REAL = Path(__file__).parents[3] / "shared" / "data" / "labels"


def arrays(frames: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    pose = np.concatenate((np.tile(np.eye(3), (frames, 1, 1)), np.full((frames, 3, 1), -30.0)), 2)
    return {
        "landmarks": random.random((frames, 68, 2)).astype(np.float16),
        "blendshapes": random.random((frames, 52)).astype(np.float16),
        "pose": pose.astype(np.float32),
        "valid": np.ones(frames, bool),
    }


def written(folder: Path, **changes: np.ndarray | None) -> Path:
    content = {name: value for name, value in (arrays() | changes).items() if value is not None}
    np.savez(folder / "labels.npz", **content)
    return folder / "labels.npz"


def test_landmarks_become_pixels_of_width_and_height(tmp_path):
    landmarks = np.zeros((4, 68, 2), np.float16)
    landmarks[:, 0] = (0.5, 0.25)
    found = read_labels(written(tmp_path, landmarks=landmarks), size=(100, 200))["landmarks"]
    assert found[0, 0].tolist() == [100, 25]
    assert found.dtype == torch.float32


def test_the_neutral_coefficient_is_no_expression(tmp_path):
    given = arrays()["blendshapes"]
    found = read_labels(written(tmp_path), (8, 8))["expression"]
    assert torch.equal(found, torch.from_numpy(given[:, 1:].astype(np.float32)))


def turned(yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1) -> np.ndarray:
    """MediaPipe's matrix (y up, z toward the camera) of a head that turns as ours does."""
    ours = rotation(torch.tensor([yaw, pitch, roll])).numpy()
    flip = np.diag([1.0, -1.0, -1.0])
    pose = arrays()["pose"]
    pose[:, :, :3] = scale * flip @ ours @ flip
    return pose


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (0, -15, 0), (0, 0, 40), (10, 20, 30)])
def test_convention_pose_becomes_ours(angles, tmp_path):
    found = read_labels(written(tmp_path, pose=turned(*angles, scale=1.3)), (8, 8))["pose"]
    assert euler(found)[0].tolist() == pytest.approx(angles, abs=1e-4)
    assert found[0] @ found[0].T == pytest.approx(torch.eye(3).numpy(), abs=1e-5)  # the scale is gone


def test_convention_a_head_that_turns_to_its_left_in_their_axes_has_its_nose_on_the_right_of_the_picture(tmp_path):
    about_y = np.deg2rad(30)  # y up, x right, z toward the camera: the nose (+z) moves to +x
    pose = arrays()["pose"]
    pose[:, :, :3] = [
        [np.cos(about_y), 0, np.sin(about_y)],
        [0, 1, 0],
        [-np.sin(about_y), 0, np.cos(about_y)],
    ]
    nose = read_labels(written(tmp_path, pose=pose), (8, 8))["pose"][0] @ torch.tensor([0.0, 0.0, -1.0])
    assert nose[0] > 0.4


def test_invalid_frames_are_nan_in_every_feature(tmp_path):
    found = read_labels(written(tmp_path, valid=np.array([True, False, True, True])), (8, 8))
    for feature in found.values():
        assert feature[1].isnan().all()
        assert feature[[0, 2, 3]].isfinite().all()


def test_what_is_read_feeds_a_track(tmp_path):
    found = read_labels(written(tmp_path), (8, 8))
    track = Track(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), {}, found)
    assert FaceLMD()(track.feature("landmarks"), track.feature("landmarks")) == 0


def test_a_missing_array_is_named(tmp_path):
    with pytest.raises(MediaError, match="have no pose"):
        read_labels(written(tmp_path, pose=None), (8, 8))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("landmarks", np.zeros((3, 68, 2))),
        ("blendshapes", np.zeros((4, 51))),
        ("pose", np.zeros((4, 3, 3))),
        ("valid", np.ones((5,), bool)),
    ],
)
def test_an_array_of_another_shape_is_named(name, wrong, tmp_path):
    with pytest.raises(MediaError, match="shape"):
        read_labels(written(tmp_path, **{name: wrong}), (8, 8))


def test_a_missing_file_is_an_error_of_one_line(tmp_path):
    with pytest.raises(MediaError, match=r"absent\.npz"):
        read_labels(tmp_path / "absent.npz", (8, 8))


def test_what_is_no_archive_is_an_error_of_one_line(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"not an archive")
    with pytest.raises(MediaError, match="cannot be read"):
        read_labels(tmp_path / "bad.npz", (8, 8))


def test_pickled_labels_are_refused(tmp_path):
    with pytest.raises(MediaError, match="cannot be read"):
        read_labels(written(tmp_path, pose=np.array([{"x": 1}], dtype=object)), (8, 8))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no labels of real clips in {REAL}")
def test_labels_of_a_real_clip_are_a_frontal_face_and_agree_with_themselves():
    found = read_labels(sorted(REAL.glob("*.npz"))[0], (256, 256))
    assert PoseDistance()(found["pose"], found["pose"]) == 0
    assert euler(found["pose"]).nanquantile(0.5).abs() < 30
    assert found["landmarks"][:, 36, 0].nanmedian() < found["landmarks"][:, 45, 0].nanmedian()
