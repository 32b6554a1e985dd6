import dataclasses
import json

import pytest
import torch

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.motion_spec import MotionSpec


@pytest.fixture
def spec() -> MotionSpec:
    return MotionSpec("keypoints", {"pose": 3, "translation": 3, "expression": 63, "scale": 1}, num_keypoints=21)


def test_the_width_is_that_of_all_parts(spec):
    assert spec.dim == 70


def test_parts_lie_in_the_order_of_the_spec(spec):
    assert spec.slice("pose") == slice(0, 3)
    assert spec.slice("expression") == slice(6, 69)
    assert spec.slice("scale") == slice(69, 70)


@pytest.mark.parametrize("lead", [(), (2,), (2, 5)])
def test_packing_and_unpacking_are_inverse(spec, lead):
    motion = torch.randn(*lead, 70)
    assert torch.equal(spec.pack(**spec.unpack(motion)), motion)


def test_packing_does_not_depend_on_the_order_of_arguments(spec):
    parts = spec.unpack(torch.randn(2, 70))
    assert torch.equal(spec.pack(**parts), spec.pack(**dict(reversed(parts.items()))))


def test_unpacked_parts_are_views(spec):
    motion = torch.zeros(70)
    spec.unpack(motion)["scale"].fill_(1)
    assert motion[69] == 1


def test_an_unknown_part_is_refused_with_the_nearest_first(spec):
    with pytest.raises(ConfigError, match="it has: expression"):
        spec.slice("expresion")


def test_a_missing_part_is_refused(spec):
    parts = spec.unpack(torch.zeros(70))
    del parts["scale"]
    with pytest.raises(ConfigError, match="scale"):
        spec.pack(**parts)


def test_a_part_of_another_width_is_refused(spec):
    parts = spec.unpack(torch.zeros(70)) | {"pose": torch.zeros(4)}
    with pytest.raises(ShapeError, match="pose"):
        spec.pack(**parts)


def test_motion_of_another_width_is_refused(spec):
    with pytest.raises(ShapeError, match="motion"):
        spec.unpack(torch.zeros(2, 69))


@pytest.mark.parametrize(
    ("kind", "slices", "points"),
    [("vector", {}, 0), ("vector", {"a": 0}, 0), ("vector", {"a": 3}, 5), ("keypoints", {"a": 3}, 0)],
)
def test_a_spec_that_does_not_fit_together_is_refused(kind, slices, points):
    with pytest.raises(ConfigError):
        MotionSpec(kind, slices, points)


def test_the_json_rebuilds_the_spec(spec):
    assert MotionSpec(**json.loads(json.dumps(spec.to_json()))) == spec


def test_a_spec_cannot_be_changed(spec):
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.kind = "vector"
