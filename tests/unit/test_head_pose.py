from pathlib import Path

import pytest
import torch

from talkingface.core.geometry import euler, geodesic_angle, rotation
from talkingface.data.synthetic.model import build_model
from talkingface.metrics import LandmarkPose, Track, read_labels
from talkingface.metrics.head_pose import face_template, fit_pose

REAL = Path(__file__).parents[3] / "shared" / "data" / "labels"


def projected(points: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
    """Orthographic picture of points ``(68, 3)`` at poses ``(N, 3)``, 100 pixels a unit."""
    return (points @ rotation(pose).mT)[..., :2] * 100 + 128


POSES = torch.tensor(
    [[0, 0, 0], [25, 0, 0], [0, -15, 0], [0, 0, 40], [-30, 10, 20], [50, -20, -10]], dtype=torch.float64
)


def test_convention_the_average_face_comes_back_in_the_pose_it_was_turned_to():
    assert (euler(fit_pose(projected(face_template(), POSES))) - POSES).abs().max() < 1e-6


def test_place_and_size_do_not_count():
    landmarks = projected(face_template(), POSES)
    assert torch.allclose(fit_pose(0.3 * landmarks - 40), fit_pose(landmarks))


def test_what_is_found_is_a_rotation():
    noisy = projected(face_template(), POSES) + 20 * torch.randn(6, 68, 2, generator=torch.Generator().manual_seed(0))
    pose = fit_pose(noisy)
    assert (pose @ pose.mT - torch.eye(3)).abs().max() < 1e-9
    assert (torch.linalg.det(pose) > 0).all()


def test_the_template_is_a_symmetric_face():
    template = face_template()
    assert template.shape == (68, 3)
    left, right = template[[0, 36, 48, 31]], template[[16, 45, 54, 35]]
    assert torch.allclose(left * torch.tensor([-1.0, 1.0, 1.0]).double(), right, atol=2e-4)
    assert template[30, 2] == template[:, 2].min()  # z is into the screen, and the nose sticks out of it


@pytest.mark.parametrize("person", [1, 5, 11])
def test_another_face_is_turned_by_about_what_it_was(person):
    model = build_model(person)
    points = torch.from_numpy((model.rest[model.landmark_index] * model.landmark_weight[..., None]).sum(1)).double()
    found = fit_pose(projected(points, POSES))
    moved = geodesic_angle(found @ found[0].mT, rotation(POSES))
    assert moved.max() < 5
    assert geodesic_angle(found[:1], rotation(POSES)).max() > 20  # the control: no motion at all


def test_frames_without_landmarks_have_no_pose():
    landmarks = projected(face_template(), POSES).float()
    landmarks[2] = torch.nan
    track = Track(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), {"pose": LandmarkPose()}, {"landmarks": landmarks})
    pose = track.feature("pose")
    assert pose.dtype == torch.float32
    assert pose[2].isnan().all()
    assert pose[[0, 1, 3, 4, 5]].isfinite().all()


def test_a_track_without_any_face_has_no_pose():
    track = Track(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), {}, {"landmarks": torch.full((2, 68, 2), torch.nan)})
    assert LandmarkPose().extract(track).isnan().all()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no labels of real clips in {REAL}")
def test_on_real_clips_it_follows_mediapipes_pose():
    """Median error of the turn since the first frame, over 20 clips; MediaPipe fits a face mesh in perspective."""
    files = [path for path in sorted(REAL.glob("*.npz")) if "LipNet" not in path.name]
    errors, turns = [], []
    for path in files[:: len(files) // 20][:20]:
        labels = read_labels(path, (256, 256))
        seen = ~labels["pose"].flatten(1).isnan().any(1)
        theirs = labels["pose"][seen].double()
        ours = fit_pose(labels["landmarks"][seen])
        errors.append(geodesic_angle(ours[1:] @ ours[0].mT, theirs[1:] @ theirs[0].mT))
        turns.append(geodesic_angle(theirs[1:], theirs[:1]))
    error, turn = torch.cat(errors).quantile(0.5).item(), torch.cat(turns).quantile(0.5).item()
    print(f"error of the relative turn: median {error:.2f}°, of turns of median {turn:.2f}°")
    assert error < 2.5
    assert turn > 2 * error  # the control: a pose that never moves
