"""Stitching, eyes and lips: what the networks are told, and that the moving keypoints carry it."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.motion import Retargeting
from talkingface.pipelines.face import eye_openings, lip_opening
from talkingface.pipelines.retouch import Retouch, check_retouch

SPEC = MotionSpec.of_keypoints("liveportrait", 21)


def random_motion(count: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.cat((0.1 * torch.randn(count, 69, generator=random), torch.full((count, 1), 1.3)), -1)


MOTION = random_motion(4, 1)
CANONICAL = 0.3 * torch.randn(1, 21, 3, generator=torch.Generator().manual_seed(2))
PORTRAIT = Source((), torch.zeros(1, 1), random_motion(1, 0), CANONICAL)
OWN = SPEC.keypoints(PORTRAIT.motion, CANONICAL)


@pytest.fixture
def part() -> Retargeting:
    made = Retargeting()
    for network in (made.stitching, made.eyes, made.lips):
        torch.nn.init.normal_(network[-1].weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return made


def face(left: float, right: float, lips: float) -> Tensor:
    """68 points whose eyes are 20 wide, whose mouth is 40 wide, each open by a ratio."""
    points = torch.zeros(68, 2)
    for first, ratio in ((36, left), (42, right)):
        gap = 20 * ratio / 2
        points[first : first + 6] = torch.tensor([[0, 0], [6, -gap], [14, -gap], [20, 0], [14, gap], [6, gap]])
    points[54], points[62], points[66] = (torch.tensor(at) for at in ((40.0, 0.0), (20.0, 0.0), (20.0, 40 * lips)))
    return points


def keypoints(motion: Tensor) -> Tensor:
    return SPEC.keypoints(motion, CANONICAL)


def test_openings_are_height_over_width():
    seen = face(0.3, 0.2, 0.25)[None]
    torch.testing.assert_close(eye_openings(seen), torch.tensor([[0.3, 0.2]]))
    torch.testing.assert_close(lip_opening(7 * seen + 3), torch.tensor([[0.25]]))


@torch.no_grad()
def test_stitched_keypoints_are_those_of_the_network(part):
    found = keypoints(Retouch(part, SPEC, PORTRAIT, stitch=True)(MOTION))
    torch.testing.assert_close(found, part.stitch(OWN.expand(4, -1, -1), keypoints(MOTION)))
    assert not torch.allclose(found, keypoints(MOTION), atol=1e-3)  # the control


def test_nothing_asked_changes_nothing(part):
    assert torch.equal(Retouch(part, SPEC, PORTRAIT, stitch=False)(MOTION), MOTION)


@torch.no_grad()
def test_offsets_of_eyes_and_lips_are_added_to_what_moves(part):
    retouch = Retouch(part, SPEC, PORTRAIT, stitch=False)
    retouch.open(face(0.3, 0.2, 0.25), eyes=0.5, lips=0.1)
    eyes = part.open_eyes(OWN, torch.tensor([[0.3, 0.2]]), torch.tensor([[0.5]]))
    lips = part.open_lips(OWN, torch.tensor([[0.25]]), torch.tensor([[0.1]]))
    torch.testing.assert_close(keypoints(retouch(MOTION)), keypoints(MOTION) + eyes + lips)


@torch.no_grad()
def test_what_is_open_is_stitched(part):
    retouch = Retouch(part, SPEC, PORTRAIT, stitch=True)
    retouch.open(face(0.3, 0.2, 0.25), lips=0.4)
    lips = part.open_lips(OWN, torch.tensor([[0.25]]), torch.tensor([[0.4]]))
    torch.testing.assert_close(keypoints(retouch(MOTION)), part.stitch(OWN.expand(4, -1, -1), keypoints(MOTION) + lips))


def test_pose_and_size_stay_in_the_motion(part):
    moved, before = (SPEC.unpack(of) for of in (Retouch(part, SPEC, PORTRAIT, stitch=True)(MOTION), MOTION))
    changed = {name for name in SPEC.slices if not torch.equal(moved[name], before[name])}
    assert changed == {"expression"}


def test_the_networks_of_the_portrait_alone_run_once(part, monkeypatch):
    asked = []
    open_lips = part.open_lips
    monkeypatch.setattr(part, "open_lips", lambda *told: asked.append(1) or open_lips(*told))
    retouch = Retouch(part, SPEC, PORTRAIT, stitch=True)
    retouch.open(face(0.3, 0.2, 0.25), lips=0.4)
    for _ in range(3):
        retouch(MOTION)
    assert asked == [1]


def test_a_portrait_whose_face_is_not_found_cannot_be_opened(part):
    with pytest.raises(MediaError, match="no face found"):
        Retouch(part, SPEC, PORTRAIT, stitch=False).open(torch.full((68, 2), torch.nan), eyes=0.3)


@pytest.mark.parametrize(("eyes", "lips"), [(-0.1, None), (0.81, None), (None, 2.0), (float("nan"), None)])
def test_ratios_out_of_range_are_refused(part, eyes, lips):
    with pytest.raises(ConfigError, match=r"between 0 \(closed\) and 0.8"):
        check_retouch(part, None, eyes, lips)


@pytest.mark.parametrize(
    ("asked", "named"),
    [((True, None, None), "stitch"), ((None, 0.3, 0.2), "eyes and lips"), ((False, 0.0, None), "eyes")],
)
def test_a_model_without_the_part_is_refused_what_needs_it(asked, named):
    with pytest.raises(ConfigError, match=f"no retargeting part, which {named} would need"):
        check_retouch(None, *asked)


@pytest.mark.parametrize("asked", [(None, None, None), (False, None, None)])
def test_a_model_without_the_part_does_what_needs_none(asked):
    check_retouch(None, *asked)
