"""LivePortrait's motion extractor and keypoints: the numbers of the published implementation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from parity import facevid2vid_inputs as inputs
from talkingface.convert import liveportrait as names
from talkingface.convert.fill import fill, refuse
from talkingface.convert.names import published_names
from talkingface.core.geometry import LIVEPORTRAIT_BINS, euler, expected_degrees, liveportrait_rotation, rotation
from talkingface.core.keypoints import facevid2vid_euler
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion import LivePortraitMotion

PICTURES = {"source": "source_image", "driving_1": "driving_image_1", "driving_2": "driving_image_2"}
ANGLES = ("yaw", "pitch", "roll")
PARTS = {"t": "translation", "exp": "expression", "scale": "scale"}


def close(ours: Tensor, theirs: Tensor, tolerance: float = 2e-4) -> None:
    """Largest difference over the spread of the published values."""
    difference = (ours - theirs).abs().max() / (theirs.std() if theirs.numel() > 1 else 1)
    print(f"largest difference {difference:.1e} of the spread")
    assert difference < tolerance


class Model:
    """The filled extractor, and what it sees in the three pictures."""

    def __init__(self, oracle: Callable[[str, str], Any]) -> None:
        self.numbers = {name: oracle("facevid2vid", name) for name in ("lp_kp_info", "lp_M_stages", "lp_M")}
        anywhere = self.numbers["lp_M"]
        tensors = inputs.weights(anywhere, "liveportrait_M_motion_extractor_keys.json")
        self.motion = LivePortraitMotion(**names.motion_settings(tensors)).eval()
        refuse(fill(self.motion, published_names(self.motion, names.MOTION), tensors, "the oracle"), "the oracle")
        images = torch.cat([inputs.image(anywhere, picture) for picture in PICTURES.values()])
        self.seen: dict[str, Tensor] = {}
        for name, module in self.motion.named_modules():
            module.register_forward_hook(lambda _, __, output, name=name: self.seen.update({name: output}))
        with torch.no_grad():
            motion, self.canonical = self.motion.describe(2 * images - 1)
        self.parts = self.motion.spec.unpack(motion)
        self.keypoints = self.motion.spec.keypoints(motion, self.canonical)

    def expected(self, file: str, name: str) -> Tensor:
        return inputs.expected(self.numbers[file], name)


@pytest.fixture(scope="module")
def model(oracle: Callable[[str, str], Any]) -> Model:
    return Model(oracle)


@pytest.mark.parametrize(("index", "picture"), enumerate(PICTURES))
def test_motion_and_canonical_keypoints(model, index, picture):
    for theirs, ours in PARTS.items():
        close(model.parts[ours][index], model.expected("lp_kp_info", f"{picture}.{theirs}").flatten())
    close(model.canonical[index], model.expected("lp_kp_info", f"{picture}.kp")[0])
    pose = torch.stack([model.expected("lp_kp_info", f"{picture}.{angle}").flatten() for angle in ANGLES], -1)[0]
    close(model.parts["pose"][index], pose)
    close(model.keypoints[index], model.expected("lp_kp_info", f"{picture}.x")[0])


@pytest.mark.parametrize(("index", "picture"), enumerate(PICTURES))
def test_logits_of_the_angles(model, index, picture):
    for angle in ANGLES:
        close(model.seen[f"angles.{angle}"][index], model.expected("lp_M", f"{picture}.{angle}")[0])


def test_stages_of_the_trunk(model):
    for stage in range(4):
        ours = model.seen[f"trunk.stages.{stage}"][:1]
        close(inputs.at_stored(model.numbers["lp_M_stages"], f"stage{stage}", ours), stored(model, f"stage{stage}"))
    close(model.seen["norm"][:1], model.expected("lp_M_stages", "pooled_norm"))


def stored(model: Model, name: str) -> Tensor:
    return torch.from_numpy(model.numbers["lp_M_stages"].numbers[f"{name}/val"])


def test_another_picture_has_another_motion(model):
    """Control: the tolerance tells the pictures apart."""
    with pytest.raises(AssertionError):
        close(model.parts["expression"][1], model.expected("lp_kp_info", "source.exp").flatten())


def test_camera(oracle):
    camera = oracle("facevid2vid", "lp_camera")
    bins = inputs.tensor(camera, "pose_bins", (5, 66), 3.0)
    close(expected_degrees(bins, LIVEPORTRAIT_BINS), inputs.expected(camera, "degrees"), 1e-5)
    pitch_yaw_roll = inputs.expected(camera, "angles_pitch_yaw_roll")
    close(liveportrait_rotation(pitch_yaw_roll[:, [1, 0, 2]]), inputs.expected(camera, "R"), 1e-5)


def transformed(oracle: Any, read_angles: Callable[[Tensor], Tensor] = euler) -> Tensor:
    """Keypoints of the oracle's synthetic motion."""
    spec = MotionSpec.of_keypoints("liveportrait", 21)
    pose = [
        expected_degrees(inputs.tensor(oracle, f"syn_{angle}", (2, 66), 3.0), LIVEPORTRAIT_BINS) for angle in ANGLES
    ]
    parts = {
        "expression": inputs.tensor(oracle, "syn_exp", (2, 63), 0.05),
        "pose": read_angles(rotation(torch.stack(pose, -1))),
        "translation": inputs.tensor(oracle, "syn_t", (2, 3), 0.1),
        "scale": 1.2 + inputs.tensor(oracle, "syn_scale", (2, 1), 0.1),
    }
    canonical = inputs.tensor(oracle, "syn_kp", (2, 63), 0.3).view(2, 21, 3)
    return spec.keypoints(spec.pack(**parts), canonical)


def test_placing_of_keypoints(oracle):
    numbers = oracle("facevid2vid", "lp_transform")
    close(transformed(numbers), inputs.expected(numbers, "x"), 1e-5)


def test_control_another_convention_is_seen(oracle):
    numbers = oracle("facevid2vid", "lp_transform")
    with pytest.raises(AssertionError):
        close(transformed(numbers, facevid2vid_euler), inputs.expected(numbers, "x"), 1e-2)
