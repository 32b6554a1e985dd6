"""Placing canonical keypoints: the two conventions and the way between them."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.keypoints import to_facevid2vid, to_liveportrait
from talkingface.core.motion_spec import MotionSpec

LIVEPORTRAIT = MotionSpec.of_keypoints("liveportrait", 21)
FACEVID2VID = MotionSpec.of_keypoints("facevid2vid", 15)
SPECS = pytest.mark.parametrize("spec", [LIVEPORTRAIT, FACEVID2VID], ids=lambda spec: spec.convention)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def motion_of(spec: MotionSpec, *lead: int) -> Tensor:
    parts = {name: 0.1 * draw(*lead, width) for name, width in spec.slices.items()}
    parts["pose"] = 200 * parts["pose"]
    if "scale" in parts:
        parts["scale"] = 1.3 + parts["scale"]
    return spec.pack(**parts)


def changed(spec: MotionSpec, motion: Tensor, **parts: Tensor) -> Tensor:
    return spec.pack(**{**spec.unpack(motion), **parts})


@SPECS
def test_motion_without_turn_shift_or_expression_leaves_the_canonical_keypoints(spec):
    motion = torch.zeros(2, spec.dim, dtype=torch.float64)
    if spec.convention == "liveportrait":
        motion[:, spec.slice("scale")] = 1
    canonical = draw(2, spec.num_keypoints, 3)
    assert torch.equal(spec.keypoints(motion, canonical), canonical)


@SPECS
def test_a_shift_moves_all_keypoints_alike(spec):
    motion, canonical = motion_of(spec, 2), draw(2, spec.num_keypoints, 3)
    step = torch.tensor([0.1, -0.2, 0.0], dtype=torch.float64)
    moved = changed(spec, motion, translation=spec.unpack(motion)["translation"] + step)
    torch.testing.assert_close(
        spec.keypoints(moved, canonical) - spec.keypoints(motion, canonical), step.expand(2, spec.num_keypoints, 3)
    )


def test_convention_only_face_vid2vid_shifts_in_depth():
    for spec, shifts in ((LIVEPORTRAIT, False), (FACEVID2VID, True)):
        motion, canonical = motion_of(spec, 1), draw(1, spec.num_keypoints, 3)
        deeper = spec.unpack(motion)["translation"] + torch.tensor([0, 0, 1.0])
        moved = spec.keypoints(changed(spec, motion, translation=deeper), canonical)
        assert torch.equal(moved, spec.keypoints(motion, canonical)) is not shifts


def test_convention_liveportrait_scales_expression_and_canonical_keypoints_but_not_the_shift():
    motion, canonical = motion_of(LIVEPORTRAIT, 1), draw(1, 21, 3)
    motion[:, LIVEPORTRAIT.slice("translation")] = 0
    double = changed(LIVEPORTRAIT, motion, scale=2 * LIVEPORTRAIT.unpack(motion)["scale"])
    torch.testing.assert_close(LIVEPORTRAIT.keypoints(double, canonical), 2 * LIVEPORTRAIT.keypoints(motion, canonical))


def test_convention_expression_is_keypoint_major_and_not_turned_with_the_head():
    for spec in (LIVEPORTRAIT, FACEVID2VID):
        motion, canonical = motion_of(spec, 1), draw(1, spec.num_keypoints, 3)
        expression = spec.unpack(motion)["expression"].clone()
        expression[:, 3 * 2 + 1] += 0.5  # y of keypoint 2
        step = spec.keypoints(changed(spec, motion, expression=expression), canonical) - spec.keypoints(
            motion, canonical
        )
        scale = spec.unpack(motion)["scale"].item() if spec is LIVEPORTRAIT else 1
        assert step[0, 2, 1].item() == pytest.approx(0.5 * scale)
        assert step.abs().sum().item() == pytest.approx(0.5 * scale)


@SPECS
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_keypoints_can_be_put_anywhere_by_expression(spec, lead):
    motion, canonical = motion_of(spec, *lead), draw(*lead, spec.num_keypoints, 3)
    wanted = draw(*lead, spec.num_keypoints, 3, seed=1)
    moved = spec.with_keypoints(motion, canonical, wanted)
    torch.testing.assert_close(spec.keypoints(moved, canonical), wanted)
    rest = spec.slice("expression").stop
    assert torch.equal(moved[..., rest:], motion[..., rest:])


def test_the_same_motion_in_face_vid2vids_convention_places_the_same_keypoints():
    motion, canonical = motion_of(LIVEPORTRAIT, 4), draw(4, 21, 3)
    spec = MotionSpec.of_keypoints("facevid2vid", 21)
    parts, scaled = to_facevid2vid(LIVEPORTRAIT.unpack(motion), canonical)
    torch.testing.assert_close(spec.keypoints(spec.pack(**parts), scaled), LIVEPORTRAIT.keypoints(motion, canonical))


def test_the_same_motion_in_liveportraits_convention_places_the_same_keypoints():
    motion, canonical = motion_of(FACEVID2VID, 4), draw(4, 15, 3)
    spec = MotionSpec.of_keypoints("liveportrait", 15)
    converted = spec.pack(**to_liveportrait(FACEVID2VID.unpack(motion)))
    torch.testing.assert_close(spec.keypoints(converted, canonical), FACEVID2VID.keypoints(motion, canonical))


def test_the_angles_of_one_convention_are_not_those_of_the_other():
    """Control: renaming the parts is no conversion."""
    parts = FACEVID2VID.unpack(motion_of(FACEVID2VID, 4))
    assert (to_liveportrait(parts)["pose"] - parts["pose"]).abs().max() > 1


def test_motion_without_convention_places_nothing():
    spec = MotionSpec("vector", {"latent": 20})
    with pytest.raises(ConfigError, match="latent"):
        spec.keypoints(torch.zeros(1, 20), torch.zeros(1, 21, 3))


def test_another_number_of_canonical_keypoints_is_refused():
    with pytest.raises(ShapeError, match=r"\(1, 15, 3\), expected \(..., 21, 3\)"):
        LIVEPORTRAIT.keypoints(torch.zeros(1, 70), torch.zeros(1, 15, 3))


@pytest.mark.parametrize(
    ("slices", "convention", "named"),
    [
        ({"expression": 45, "pose": 3, "translation": 3, "scale": 1}, "facevid2vid", "'scale': 1"),
        ({"pose": 3, "expression": 42, "translation": 3}, "facevid2vid", "'expression': 45"),
        ({"expression": 45, "pose": 3, "translation": 3}, "faceid2vid", "known: facevid2vid"),
    ],
)
def test_a_convention_that_does_not_fit_the_slices_is_refused(slices, convention, named):
    with pytest.raises(ConfigError, match=named):
        MotionSpec("keypoints", slices, 15, convention)
