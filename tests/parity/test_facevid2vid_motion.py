"""Face-vid2vid's keypoint detector and pose estimator: the numbers of the unofficial implementation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from parity import facevid2vid_inputs as inputs
from talkingface.convert import facevid2vid as names
from talkingface.convert.fill import fill, refuse
from talkingface.convert.names import published_names
from talkingface.core.geometry import HOPENET_BINS, euler, expected_degrees, facevid2vid_rotation
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.pyramid import gaussian_downsample
from talkingface.motion import FaceVid2VidMotion

PICTURES = {"source": "source_image", "driving_1": "driving_image_1", "driving_2": "driving_image_2"}
ANGLES = ("yaw", "pitch", "roll")
STAGES = {"block1": (0, 3), "block2": (1, 1), "block4": (2, 1), "block6": (3, 1), "block7": (3, 3)}


def close(ours: Tensor, theirs: Tensor, tolerance: float = 2e-4) -> None:
    """Largest difference over the spread of the published values."""
    difference = (ours - theirs).abs().max() / theirs.std()
    print(f"largest difference {difference:.1e} of the spread")
    assert difference < tolerance


class Model:
    """The filled networks, and what they see in the three pictures."""

    def __init__(self, oracle: Callable[[str, str], Any]) -> None:
        files = ("fv_kp", "fv_kp_detector", "fv_he", "fv_he_stages")
        self.numbers = {name: oracle("facevid2vid", name) for name in files}
        anywhere = self.numbers["fv_he"]
        tensors = {}
        for level, keys in ((names.DETECTOR, "kp_detector"), (names.ESTIMATOR, "he_estimator")):
            found = inputs.weights(anywhere, f"facevid2vid_{keys}_keys.json")
            tensors |= {level + name: tensor for name, tensor in found.items() if name != "down.weight"}
        self.motion = FaceVid2VidMotion(keypoints=names.number_of_keypoints(tensors)).eval()
        refuse(fill(self.motion, published_names(self.motion, names.MOTION), tensors, "the oracle"), "the oracle")
        self.images = torch.cat([inputs.image(anywhere, picture) for picture in PICTURES.values()])
        self.seen: dict[str, Tensor] = {}
        for name, module in self.motion.named_modules():
            # values: an activation in place would change what lies here
            module.register_forward_hook(
                lambda _, __, output, name=name: (
                    self.seen.update({name: output.clone()}) if isinstance(output, Tensor) else None
                )
            )
        with torch.no_grad():
            self.parts = self.motion.spec.unpack(self.motion(2 * self.images - 1))
            self.canonical = self.motion.canonical(2 * self.images[:1] - 1)

    def expected(self, file: str, name: str) -> Tensor:
        return inputs.expected(self.numbers[file], name)


@pytest.fixture(scope="module")
def model(oracle: Callable[[str, str], Any]) -> Model:
    return Model(oracle)


@pytest.mark.parametrize(("index", "picture"), enumerate(PICTURES))
def test_logits_of_the_angles_expression_and_shift(model, index, picture):
    for angle in ANGLES:
        close(model.seen[f"estimator.angles.{angle}"][index], model.expected("fv_he", f"{picture}.{angle}")[0])
    close(model.parts["expression"][index], model.expected("fv_he", f"{picture}.exp")[0])
    close(model.parts["translation"][index], model.expected("fv_he", f"{picture}.t")[0])


def test_control_yaw_and_roll_under_their_published_names_are_seen(model):
    with pytest.raises(AssertionError):
        close(model.seen["estimator.angles.yaw"][0], model.expected("fv_he", "source.roll")[0], 1e-1)


@pytest.mark.parametrize(("theirs", "place"), STAGES.items())
def test_stages_of_the_estimator(model, theirs, place):
    stage, last = place
    numbers = model.numbers["fv_he_stages"]
    ours = model.seen[f"estimator.stages.{stage}.{last}"][:1]
    shape = numbers.numbers[f"{theirs}/shape"]
    stride = ours.shape[-1] // shape[-1]
    ours = inputs.at_stored(numbers, theirs, ours[..., ::stride, ::stride])
    close(ours, torch.from_numpy(numbers.numbers[f"{theirs}/val"]))


def test_picture_is_made_small_as_published(model):
    small = gaussian_downsample(model.images[:1], 0.25)
    numbers = model.numbers["fv_kp_detector"]
    close(inputs.at_stored(numbers, "down", small), torch.from_numpy(numbers.numbers["down/val"]), 1e-5)


def test_canonical_keypoints(model):
    close(model.canonical, model.expected("fv_kp_detector", "value"))


@pytest.mark.parametrize(("index", "picture"), [(0, "source"), (1, "driving_1")])
def test_placed_keypoints(model, index, picture):
    spec = model.motion.spec
    motion = spec.pack(**{name: part[index : index + 1] for name, part in model.parts.items()})
    close(spec.keypoints(motion, model.canonical), model.expected("fv_kp", picture))


def transformed(oracle: Any, read_angles: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Keypoints of the oracle's synthetic motion."""
    spec = MotionSpec.of_keypoints("facevid2vid", 15)
    logits = (inputs.tensor(oracle, f"syn_{angle}", (2, 66), 3.0) for angle in ANGLES)
    pose = torch.stack([expected_degrees(values, HOPENET_BINS) for values in logits], -1)
    motion = spec.pack(
        expression=inputs.tensor(oracle, "syn_exp15", (2, 45), 0.05),
        pose=pose if read_angles is None else read_angles(facevid2vid_rotation(pose)),
        translation=inputs.tensor(oracle, "syn_t", (2, 3), 0.1),
    )
    return spec.keypoints(motion, inputs.tensor(oracle, "syn_kp15", (2, 15, 3), 0.3))


def test_placing_of_keypoints(oracle):
    numbers = oracle("facevid2vid", "fv_transform")
    close(transformed(numbers), inputs.expected(numbers, "x"), 1e-5)
    angles = inputs.expected(numbers, "angles_pitch_yaw_roll")[:, [1, 0, 2]]
    close(facevid2vid_rotation(angles), inputs.expected(numbers, "R_yaw_pitch_roll"), 1e-5)


def test_control_another_convention_is_seen(oracle):
    numbers = oracle("facevid2vid", "fv_transform")
    with pytest.raises(AssertionError):
        close(transformed(numbers, euler), inputs.expected(numbers, "x"), 1e-2)
