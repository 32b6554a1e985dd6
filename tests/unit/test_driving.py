import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.keypoints import LIPS
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion import driving
from talkingface.motion.driving import EYES, SPEC


def motion(count: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    parts = {name: 0.1 * torch.randn(count, width, generator=random) for name, width in SPEC.slices.items()}
    parts["pose"] = 150 * parts["pose"]
    parts["scale"] = 1.4 + parts["scale"]
    return SPEC.pack(**parts).double()


SOURCE, DRIVING, START = motion(1, 0), motion(4, 1), motion(1, 2)


def expression(of: Tensor) -> Tensor:
    return SPEC.unpack(of)["expression"].unflatten(-1, (21, 3))


def test_a_driving_person_who_does_not_move_leaves_the_portrait_as_it_is():
    torch.testing.assert_close(driving.relative(SOURCE, START.expand(4, -1), START), SOURCE.expand(4, -1))


def test_a_portrait_like_the_first_frame_moves_as_the_driving_person():
    torch.testing.assert_close(driving.relative(START, DRIVING, START), DRIVING)


def test_a_moving_person_moves_every_part_of_the_portrait():
    """Control of the two tests above."""
    moved, own = (SPEC.unpack(of) for of in (driving.relative(SOURCE, DRIVING, START), SOURCE))
    assert all((moved[name] != own[name]).any() for name in SPEC.slices)


@pytest.mark.parametrize(
    ("region", "moving"),
    [
        ("all", {"expression", "pose", "translation", "scale"}),
        ("expression", {"expression"}),
        ("pose", {"pose", "translation"}),
        ("lips", {"expression"}),
        ("eyes", {"expression"}),
    ],
)
def test_only_the_parts_of_a_region_follow(region, moving):
    moved, own = (SPEC.unpack(of) for of in (driving.relative(SOURCE, DRIVING, START, region), SOURCE))
    assert {name for name in SPEC.slices if (moved[name] != own[name]).any()} == moving


@pytest.mark.parametrize(("region", "keypoints"), [("lips", LIPS), ("eyes", EYES)])
@pytest.mark.parametrize("absolute", [False, True])
def test_only_the_keypoints_of_a_region_follow(region, keypoints, absolute):
    found = driving.absolute(SOURCE, DRIVING, region) if absolute else driving.relative(SOURCE, DRIVING, START, region)
    follow = (expression(found) != expression(SOURCE)).any(-1).all(0)
    assert follow.nonzero().flatten().tolist() == list(keypoints)


def test_absolute_driving_keeps_the_size_and_the_shape_of_the_face():
    found = driving.absolute(SOURCE, DRIVING)
    own, now = SPEC.unpack(SOURCE), SPEC.unpack(DRIVING)
    assert torch.equal(SPEC.unpack(found)["scale"], own["scale"].expand(4, 1))
    assert torch.equal(SPEC.unpack(found)["pose"], now["pose"])
    kept = (expression(found) == expression(SOURCE)).all(0)
    assert kept[[0, 7, 10]].all()
    assert kept[[3, 4]].tolist() == [[True, False, True]] * 2
    assert kept[[5, 8]].tolist() == [[True, True, False]] * 2
    assert kept[9].tolist() == [True, False, False]
    assert not kept[[1, 2, 6, *range(11, 21)]].any()


def test_a_single_picture_drives_against_closed_lips():
    found = driving.by_picture(SOURCE, DRIVING)
    neutral = expression(SOURCE) + expression(DRIVING) - expression(found)
    assert neutral[0, 19].tolist() == pytest.approx([0, -0.0151, -0.0025])
    assert torch.equal(SPEC.unpack(found)["scale"], SPEC.unpack(DRIVING)["scale"])


def test_a_face_of_twice_the_size_moves_more():
    face = torch.rand(1, 21, 3, generator=torch.Generator().manual_seed(0))
    frames = face + 0.1 * torch.rand(4, 21, 3, generator=torch.Generator().manual_seed(1))
    found = driving.expression_friendly(2 * face, frames, face)
    torch.testing.assert_close(found, 2 * face + 8**0.5 * (frames - face))  # volumes are as the cube of the size


def test_keypoints_in_a_plane_have_no_size():
    flat = torch.rand(1, 21, 3)
    flat[..., 2] = 0
    with pytest.raises(ShapeError, match="in one plane"):
        driving.size_ratio(flat, flat)


def test_lips_are_known_of_the_released_keypoints_only():
    spec = MotionSpec.of_keypoints("liveportrait", 15)
    still = torch.zeros(1, spec.dim)
    with pytest.raises(ConfigError, match=r"15 keypoints.*lips.*LivePortrait's 21"):
        driving.relative(still, still, still, "lips", spec)
    assert driving.absolute(still, still + 1, "expression", spec)[0, :45].tolist() == [1] * 45  # the control


@pytest.mark.parametrize(("region", "taken"), [("all", [2, 2, 1]), ("pose", [1, 2, 1]), ("expression", [2, 1, 1])])
def test_a_picture_drives_a_region(region, taken):
    """Expression, pose and size of 1 in the portrait and 2 in the picture."""
    spec = MotionSpec.of_keypoints("liveportrait", 15)
    found = spec.unpack(driving.absolute(torch.ones(1, spec.dim), torch.full((1, spec.dim), 2.0), region, spec))
    assert [found[name].mean().item() for name in ("expression", "pose", "scale")] == taken
    against_closed_lips = spec.unpack(driving.by_picture(torch.ones(1, 52), torch.full((1, 52), 2.0), region, spec))
    moved = [against_closed_lips[name].mean().item() for name in ("expression", "pose", "scale")]
    assert moved == [taken[0] + (region != "pose"), taken[1], 2 if region == "all" else 1]


FACE = 0.5 * torch.rand(1, 15, 3, generator=torch.Generator().manual_seed(0)).double()
OPEN = MotionSpec.of_keypoints("facevid2vid", 15)


def of_facevid2vid(count: int, seed: int) -> Tensor:
    return 0.1 * torch.randn(count, OPEN.dim, generator=torch.Generator().manual_seed(seed)).double()


def test_keypoints_follow_the_driving_keypoints_from_where_the_portrait_has_them():
    source, frames, start = of_facevid2vid(1, 0), of_facevid2vid(4, 1), of_facevid2vid(1, 2)
    own, now, first = (OPEN.keypoints(motion, FACE) for motion in (source, frames, start))
    found = OPEN.keypoints(driving.keypoint_relative(source, frames, start, FACE, "all", OPEN), FACE)
    torch.testing.assert_close(found, own + driving.size_ratio(own, first) * (now - first))
    assert not torch.allclose(found, now)  # the control: absolute driving
    still = driving.keypoint_relative(source, start.expand(4, -1), start, FACE, "all", OPEN)
    torch.testing.assert_close(OPEN.keypoints(still, FACE), own.expand(4, -1, -1))


def test_keypoints_follow_a_region_only():
    source, frames, start = of_facevid2vid(1, 0), of_facevid2vid(4, 1), of_facevid2vid(1, 2)
    turned = torch.cat((start[:, :45].expand(4, -1), frames[:, 45:]), 1)
    found = driving.keypoint_relative(source, frames, start, FACE, "pose", OPEN)
    torch.testing.assert_close(found, driving.keypoint_relative(source, turned, start, FACE, "all", OPEN))
    assert not torch.allclose(found, driving.keypoint_relative(source, frames, start, FACE, "all", OPEN))


def test_an_unknown_region_is_refused():
    with pytest.raises(ConfigError, match="known: lips"):
        driving.absolute(SOURCE, DRIVING, "lip")
