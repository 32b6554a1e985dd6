"""Published head-pose conventions against the numbers of their implementations (SPEC 3.7)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.core.geometry import (
    HOPENET_BINS,
    LIVEPORTRAIT_BINS,
    euler,
    expected_degrees,
    facevid2vid_rotation,
    geodesic_angle,
    liveportrait_rotation,
    rotation,
)
from talkingface.metrics.functional.landmarks import procrustes

ROOT = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
PITCH_YAW_ROLL = [1, 0, 2]  # the oracle's order, from ours


@pytest.fixture
def arrays(oracle: Callable[..., Any]) -> Any:
    return oracle("metrics", "rotation")


@pytest.fixture
def pose(arrays: Any) -> Tensor:
    return arrays["angles_pitch_yaw_roll_deg"][:, PITCH_YAW_ROLL]


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    shipped = Path(__file__).parent / "data" / "geometry.json"
    found = next((p for p in (ROOT / "metrics" / "oracles" / "geometry.json", shipped) if p.is_file()), None)
    if found is None:
        pytest.skip("no geometry.json; set TALKINGFACE_REFERENCE to the reference folder")
    content: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return content


def largest(ours: Tensor, theirs: Tensor) -> float:
    difference = (ours - theirs).abs().max().item()
    print(f"largest difference {difference:.1e}")
    return difference


@pytest.mark.parametrize(
    ("convention", "name"),
    [(rotation, "R_zyx"), (liveportrait_rotation, "R_liveportrait"), (facevid2vid_rotation, "R_facevid2vid")],
)
def test_convention_a_rotation_is_the_published_matrix(convention, name, arrays, pose):
    assert largest(convention(pose), arrays[name]) < 1e-12


def test_convention_face_vid2vid_with_the_true_pi_is_another_matrix(arrays, pose):
    x, y, z = (rotation(pose * torch.eye(3, dtype=torch.float64)[i]) for i in (1, 0, 2))
    assert largest(x @ y @ z, arrays["R_xyz"]) < 1e-12
    assert 1e-4 < largest(x @ y @ z, arrays["R_facevid2vid"]) < 1e-3


def test_convention_euler_angles_come_back_and_3ddfa_has_the_other_sign_of_yaw(arrays, pose, numbers):
    assert largest(euler(arrays["R_zyx"]), pose) < 1e-9
    published = numbers["rot"]["3DDFA matrix2angle on Rz Ry Rx -> (yaw,pitch,roll) deg"]
    theirs = torch.tensor(published, dtype=torch.float64)
    assert largest(euler(arrays["R_zyx"]) * torch.tensor([-1.0, 1.0, 1.0]), theirs) < 1e-9


def test_geodesic_angles_are_the_published_ones(arrays, numbers):
    identity = torch.eye(3, dtype=torch.float64)
    wanted = torch.tensor(numbers["rot"]["geodesic_deg_from_identity(zyx)"], dtype=torch.float64)
    assert largest(geodesic_angle(identity, arrays["R_zyx"]), wanted) < 1e-9


def test_convention_the_same_angles_in_two_conventions_are_ten_degrees_apart(arrays, numbers):
    wanted = torch.tensor(numbers["rot"]["geodesic zyx vs xyz"], dtype=torch.float64)
    ours = geodesic_angle(arrays["R_zyx"], arrays["R_xyz"])
    assert largest(ours, wanted) < 1e-5  # near 0 the oracle's arc cosine leaves 2e-6
    assert ours.max() > 10


@pytest.mark.parametrize(("first", "name"), [(LIVEPORTRAIT_BINS, "liveportrait_97_5"), (HOPENET_BINS, "hopenet_99")])
def test_convention_bins_give_the_published_degrees(first, name, oracle, numbers):
    random = oracle("metrics", "rotation").random("bins")
    logits = torch.from_numpy(random.standard_normal((4, 66)).astype("float32")).double()
    assert largest(expected_degrees(logits, first), torch.tensor(numbers["bins"][name], dtype=torch.float64)) < 1e-9


@pytest.mark.parametrize("case", ["exact", "noisy", "reflected"])
def test_plane_similarity_is_umeyamas(case, numbers):
    given = numbers["umeyama"][case]
    source = torch.tensor(given["src"], dtype=torch.float64)
    matrix = torch.tensor(given["M_umeyama"], dtype=torch.float64)
    target = torch.tensor(DESTINATION, dtype=torch.float64)
    wanted = source @ matrix[:, :2].T + matrix[:, 2]
    assert largest(procrustes(source, target), wanted) < 1e-9


# ArcFace's template on 112×112, which is what the oracle fits its points to
DESTINATION = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
