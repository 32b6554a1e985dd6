"""ControlTalk's editor: nothing is changed at first, then only the expression, by as much as is asked for."""

from dataclasses import replace

import pytest
import torch

from talkingface.audio import MelSpeech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.generators import Audio2Exp

FRAMES, WIDTH, HEARD = 6, 45, 16


class Keypoints(MotionEncoder):
    """Face-vid2vid's motion without its networks."""

    def __init__(self, slices=None):
        super().__init__()
        self.spec = MotionSpec("vector", slices) if slices else MotionSpec.of_keypoints("facevid2vid", 15)

    def forward(self, image):
        raise NotImplementedError


def make(trained=True, **settings):
    torch.manual_seed(0)
    part = Audio2Exp(Keypoints(), MelSpeech(dim=HEARD, blocks=0), **settings)
    if trained:
        torch.nn.init.normal_(part.zero.weight, std=0.05)
        torch.nn.init.normal_(part.zero.bias, std=0.05)
    return part.eval()


@pytest.fixture
def condition():
    torch.manual_seed(1)
    return Condition(torch.randn(2, FRAMES, HEARD), 0.1 * torch.randn(2, 51), torch.zeros(2, 1))


def sample(part, condition, alpha=None):
    controls = {} if alpha is None else {"mouth": torch.full((2, FRAMES), alpha)}
    return part.sample(replace(condition, controls=controls), torch.Generator())


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
def test_before_training_nothing_is_changed(condition, alpha):
    found = sample(make(trained=False), condition, alpha)
    assert torch.equal(found, condition.start_motion[:, None].expand(-1, FRAMES, -1))


def test_before_training_a_video_stays_as_it_is(condition):
    video = 0.1 * torch.randn(2, FRAMES, 51)
    assert torch.equal(sample(make(trained=False), replace(condition, original=video)), video)


def test_it_can_change_something(condition):
    assert (sample(make(), condition, 1.0) - condition.start_motion[:, None]).abs().max() > 0.1


def test_only_the_expression_is_changed(condition):
    found = sample(make(), condition, 1.0)
    assert torch.equal(found[..., WIDTH:], condition.start_motion[:, None, WIDTH:].expand(-1, FRAMES, -1))


def test_change_grows_in_proportion_to_alpha(condition):
    part = make()
    closed, one, two = (sample(part, condition, alpha) for alpha in (0.0, 1.0, 2.0))
    assert torch.allclose(two - closed, 2 * (one - closed), atol=1e-6)
    assert not torch.allclose(one, closed)


def test_without_alpha_nothing_of_the_speech_is_left(condition):
    part = make()
    other = replace(condition, audio=condition.audio.flip(1))
    assert torch.equal(sample(part, condition, 0.0), sample(part, other, 0.0))
    assert not torch.equal(sample(part, condition, 0.5), sample(part, other, 0.5))  # the control


def test_alpha_is_half_unless_it_is_asked_for_or_set(condition):
    assert torch.equal(sample(make(), condition), sample(make(), condition, 0.5))
    assert torch.equal(sample(make(mouth=0.7), condition), sample(make(), condition, 0.7))


def test_negative_alpha_is_refused(condition):
    with pytest.raises(ConfigError, match=r"'mouth' has the value -0.1; it must be 0 or more"):
        sample(make(), condition, -0.1)
    with pytest.raises(ConfigError, match="0 or more"):
        make(mouth=-1.0)


def test_motion_without_expression_is_refused():
    with pytest.raises(ConfigError, match=r"no(ne)? apart from the rest \(it has code\)"):
        Audio2Exp(Keypoints({"code": 20}), MelSpeech(dim=HEARD, blocks=0))


def test_a_video_of_another_length_is_refused(condition):
    with pytest.raises(ShapeError, match="motion that is edited"):
        sample(make(), replace(condition, original=torch.zeros(2, FRAMES + 1, 51)))


def test_half_of_the_training_clips_are_closed_before():
    part, clips = make(), 200
    motion, speech, full = torch.zeros(clips, 1, 51), torch.randn(clips, 1, HEARD), torch.ones(clips, 1)
    with torch.no_grad():
        found = part.train_edit(motion, speech, full, torch.Generator().manual_seed(0))
        once, twice = part.edit(motion, speech, full), part.edit(part.closed(motion), speech, full)
    direct = (found == once).all(-1)
    assert torch.equal(found[~direct], twice[~direct])
    assert 80 < direct.sum() < 120


def test_silence_is_what_the_audio_encoder_makes_of_it_now(condition):
    """The encoder is trained beside the generator; its opinion on silence must not grow stale."""
    audio = MelSpeech(dim=HEARD, blocks=0)
    part = Audio2Exp(Keypoints(), audio)
    before = part.silence()
    with torch.no_grad():
        for parameter in audio.parameters():
            parameter.add_(0.1)
    assert not torch.equal(part.silence(), before)


def test_silence_can_be_trained_on_after_a_look_at_validation(condition):
    part = make()
    with torch.inference_mode():
        part.loss(torch.zeros(2, FRAMES, 51), condition)
    part.train().loss(torch.zeros(2, FRAMES, 51), condition)["expression"].backward()
    assert part.zero.weight.grad.abs().sum() > 0


def test_what_is_at_rest_stays_there(condition):
    part = make()
    motion = torch.randn(500, 51)
    motion[:, 7] = 0.3
    part.calibrate(motion)
    found = sample(part, condition, 1.0)
    assert torch.equal(found[..., 7], condition.start_motion[:, None, 7].expand(-1, FRAMES))
    assert not torch.equal(found[..., 8], condition.start_motion[:, None, 8].expand(-1, FRAMES))
