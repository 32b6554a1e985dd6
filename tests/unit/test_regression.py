"""The regression baseline: what it learns, what it refuses."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from talkingface.audio import MelSpeech
from talkingface.core.component import wired_names
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.records import Condition
from talkingface.generators import Regression
from talkingface.motion import LatentMotion

FRAMES, WIDTH, HEARD, CODE = 7, 6, 8, 32


def regression(trunk: bool = True) -> Regression:
    torch.manual_seed(0)
    encoder = LatentMotion(size=64, width=0.125, code_dim=CODE, dim=WIDTH)
    if not trunk:
        encoder.image_encoder = None
    return Regression(encoder, MelSpeech(dim=HEARD, blocks=0), dim=16, blocks=1, dropout=0.0)


def condition(batch: int = 4) -> Condition:
    draw = torch.Generator().manual_seed(1)
    return Condition(
        torch.randn(batch, FRAMES, HEARD, generator=draw),
        torch.randn(batch, WIDTH, generator=draw),
        torch.randn(batch, CODE, generator=draw),
    )


def sampled(model: Regression, told: Condition) -> Tensor:
    return model.eval().sample(told, torch.Generator())


def test_wired_parts_have_the_names_of_a_saved_model():
    assert wired_names(Regression) == ("motion_encoder", "audio_encoder")


def test_training_starts_at_the_middle_of_the_range():
    model = regression()
    motion = torch.randn(1000, WIDTH) + 20
    model.calibrate(motion)
    torch.testing.assert_close(
        sampled(model, condition()), model.motion_range.restore(torch.zeros(4, FRAMES, WIDTH)), atol=0.2, rtol=0
    )


def test_loss_is_the_squared_error_in_the_range():
    model, told, motion = regression(), condition(), torch.randn(4, FRAMES, WIDTH)
    model.calibrate(10 * torch.randn(1000, WIDTH))
    error = model.motion_range.normalise(sampled(model, told)) - model.motion_range.normalise(motion)
    torch.testing.assert_close(model.loss(motion, told)["motion"], error.square().mean())


def test_frames_that_do_not_exist_do_not_count():
    model, told, motion = regression().eval(), condition(), torch.randn(4, FRAMES, WIDTH)
    mask = torch.ones(4, FRAMES, dtype=torch.bool)
    mask[:, -2:] = False
    broken = motion.clone()
    broken[:, -2:] = 1e6
    masked = replace(told, mask=mask)
    assert torch.equal(model.loss(motion, masked)["motion"], model.loss(broken, masked)["motion"])
    assert model.loss(broken, told)["motion"] > 1e6  # the control


def test_it_learns_motion_that_follows_speech():
    model, told = regression(), condition(16)
    motion = torch.tanh(told.audio @ torch.randn(HEARD, WIDTH))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(motion, told)["motion"].backward()
        optimizer.step()
    error = (sampled(model, told) - motion).square().mean()
    shuffled = (sampled(model, replace(told, audio=told.audio.roll(1, 0))) - motion).square().mean()
    assert error < 0.2 * motion.var()
    assert shuffled > 4 * error


@pytest.mark.parametrize("part", ["audio", "start_motion", "portrait"])
def test_every_part_of_the_condition_is_heard(part):
    model, told = regression(), condition()
    other = replace(told, **{part: getattr(told, part) + 1})
    assert not torch.equal(sampled(model, told), sampled(model, other))


def test_without_an_image_encoder_there_is_no_portrait():
    model, told = regression(trunk=False), condition()
    assert torch.equal(sampled(model, told), sampled(model, replace(told, portrait=told.portrait + 1)))


def test_guidance_is_refused():
    with pytest.raises(ConfigError, match="cannot be guided"):
        regression().sample(condition(), torch.Generator(), guidance=2.0)


def test_speech_of_another_encoder_is_refused():
    told = condition()
    with pytest.raises(ShapeError, match="audio of the condition"):
        regression().sample(replace(told, audio=told.audio[..., 1:]), torch.Generator())
