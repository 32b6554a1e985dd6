"""ControlTalk's Audio2Exp: the numbers of the published code."""

import pytest
import torch

from parity import facevid2vid_inputs as inputs
from talkingface.convert import parts_from_checkpoint
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition

KEYPOINTS = 15


class Keypoints(MotionEncoder):
    """Face-vid2vid's motion without its networks."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec.of_keypoints("facevid2vid", KEYPOINTS)

    def forward(self, image):
        raise NotImplementedError


@pytest.fixture(scope="module")
def numbers(oracle):
    return oracle("facevid2vid", "ct_lipcontrol")


@pytest.fixture(scope="module")
def parts(numbers):
    tensors = inputs.weights(numbers, "controltalk_lipControlNet_keys.json")
    return parts_from_checkpoint("controltalk", {"state_dict": tensors}, Keypoints())


@pytest.fixture(scope="module")
@torch.no_grad()
def codes(numbers, parts):
    """Speech and silence, one frame each."""
    windows = [inputs.tensor(numbers, name, (3, 18, 1024), 0.3) for name in ("ct_hubert", "ct_hubert_silence")]
    return [parts["audio_encoder"](window.flatten(1)[:, None, None], 1) for window in windows]


@pytest.fixture(scope="module")
def motion(numbers):
    """Published keypoint-major, with a pose that must not change."""
    expression = inputs.tensor(numbers, "ct_src_exp", (3, KEYPOINTS, 3), 0.05).flatten(1)
    return torch.cat([expression, torch.tensor([[10.0, -5.0, 2.0, 0.1, 0.2, 0.3]]).expand(3, -1)], 1)[:, None]


def close(numbers, name, ours):
    theirs = torch.from_numpy(numbers.numbers[f"{name}/val"])
    worst = (inputs.at_stored(numbers, name, ours) - theirs).abs().max() / theirs.std()
    print(f"{name}: largest difference {worst:.1e} of the spread")
    assert worst < 2e-5


def expression(motion):
    return motion[:, 0, : 3 * KEYPOINTS].unflatten(-1, (KEYPOINTS, 3))


def test_the_code_of_a_window(numbers, codes):
    close(numbers, "audio_code", codes[0][:, 0])


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "heard", "alpha"), [("exp_alpha1", 0, 1.0), ("exp_alpha05", 0, 0.5), ("exp_silence", 1, 1.0)]
)
def test_one_edit(numbers, parts, codes, motion, name, heard, alpha):
    edited = parts["motion_generator"].edit(motion, codes[heard], torch.full((3, 1), alpha))
    close(numbers, name, expression(edited))
    assert torch.equal(edited[..., 3 * KEYPOINTS :], motion[..., 3 * KEYPOINTS :])


@torch.no_grad()
def test_silence_and_then_speech(numbers, parts, codes, motion, monkeypatch):
    """What inference does; each of the three clips has a silence of its own here, so that they are sampled apart."""
    generator, found = parts["motion_generator"], []
    for clip in range(3):
        monkeypatch.setattr(generator, "silence", lambda clip=clip: codes[1][clip, 0])
        told = Condition(codes[0][clip, None], motion[clip], torch.zeros(1, 1))
        found.append(generator.sample(told, torch.Generator()))
    close(numbers, "exp_silence_then_audio_alpha07", expression(torch.cat(found)))


@torch.no_grad()
def test_control_another_order_of_the_expression_is_seen(numbers, parts, codes, motion):
    """The published layer is told axis by axis, and answers keypoint by keypoint."""
    swapped = motion.clone()
    swapped[..., : 3 * KEYPOINTS] = motion[..., : 3 * KEYPOINTS].unflatten(-1, (KEYPOINTS, 3)).mT.flatten(-2)
    with pytest.raises(AssertionError):
        close(numbers, "exp_alpha1", expression(parts["motion_generator"].edit(swapped, codes[0], torch.ones(3, 1))))


def test_every_published_parameter_is_there(parts):
    counts = [sum(p.numel() for p in parts[name].parameters()) for name in ("audio_encoder", "motion_generator")]
    assert counts == [47_514_646 - 48_150, 48_150]
