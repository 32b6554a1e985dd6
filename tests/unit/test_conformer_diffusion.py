"""The Conformer diffusion generator: what is computed once, who is told what, guidance, teacher forcing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.audio import HubertSpeech, MelSpeech, MFCCSpeech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.diffusion import NoisedMotion
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LatentMotion

BATCH, FRAMES, WIDTH, HEARD, CODE = 2, 8, 6, 16, 32
SMALL = {"dim": 32, "blocks": 1, "dropout": 0.0, "static": 4, "hidden": 5}


class Landmarks(MotionEncoder):
    """A representation without an image encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"points": WIDTH})

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


def build(encoder: MotionEncoder | None = None, **settings: Any) -> ConformerDiffusion:
    torch.manual_seed(0)
    encoder = encoder or LatentMotion(size=64, width=0.125, code_dim=CODE, dim=WIDTH)
    return ConformerDiffusion(encoder, MelSpeech(dim=HEARD, blocks=0), **{**SMALL, **settings})


def condition(controls: dict[str, Tensor] | None = None) -> Condition:
    draw = torch.Generator().manual_seed(1)
    audio, start = torch.randn(BATCH, FRAMES, HEARD, generator=draw), torch.randn(BATCH, WIDTH, generator=draw)
    return Condition(audio, start, torch.randn(BATCH, CODE, generator=draw), controls or {})


def turned(degrees: float) -> dict[str, Tensor]:
    return {"pose": torch.full((BATCH, FRAMES, 3), degrees)}


def pair(step: int = 300) -> NoisedMotion:
    noise = torch.randn(BATCH, FRAMES, WIDTH, generator=torch.Generator().manual_seed(2))
    return NoisedMotion(0.5 * noise, torch.full((BATCH,), step), noise)


def sample(part: ConformerDiffusion, told: Condition, **settings: Any) -> Tensor:
    return part.eval().sample(told, torch.Generator().manual_seed(0), **{"steps": 5, **settings})


@pytest.mark.parametrize(
    ("audio", "attributes", "count"),
    [
        (MFCCSpeech, ["pose"], 26_488_855),
        (MFCCSpeech, ["location", "scale", "pose"], 27_941_145),
        (HubertSpeech, [], 39_573_677),
        (HubertSpeech, ["pose"], 40_301_104),
        (HubertSpeech, ["location", "scale", "pose"], 41_753_394),
    ],
)
def test_defaults_have_as_many_parameters_as_the_published_networks(audio, attributes, count):
    with torch.device("meta"):
        speech = audio()
        generator = ConformerDiffusion(LatentMotion(), speech, attributes=attributes)
    assert sum(p.numel() for part in (speech, generator) for p in part.parameters()) == count


@pytest.mark.parametrize("gain", [1, 1000])
def test_a_late_step_does_not_drown_the_noisy_motion(gain):
    part, late, other = build().eval(), torch.full((BATCH,), 900), torch.randn(BATCH, FRAMES, WIDTH)
    with torch.no_grad():
        part.step_code.weight *= gain  # the control: torch's usual scale
        predict = part.noise_predictor(condition())
        seen = (predict(pair().noised, late) - predict(other, late)).std() / predict(other, late).std()
    assert (seen > 0.1) == (gain == 1)


def test_speech_attributes_and_distances_are_computed_once_however_many_steps():
    part, calls = build(), []
    for name in ("adapter", "start_code", "portrait_code", "noisy_code"):
        part.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    part.conformer.blocks[0].attention.position.register_forward_hook(lambda *_: calls.append("positions"))
    sample(part, condition(), steps=10)
    assert calls.count("noisy_code") == 10
    assert [calls.count(name) for name in ("adapter", "start_code", "portrait_code", "positions")] == [1, 1, 1, 1]


def test_losses_are_those_of_the_noise_and_of_the_attributes():
    part = build().eval()
    told = condition(turned(30.0))
    found = part.loss_of(pair(), told)
    predict = part.noise_predictor(replace(told, controls={}))
    torch.testing.assert_close(found["diffusion"], (predict(pair().noised, pair().step) - pair().noise).square().mean())
    assert list(found) == ["diffusion", "location", "scale", "pose"]
    assert list(build(attributes=["pose"]).loss_of(pair(), told)) == ["diffusion", "pose"]


def test_only_teacher_forcing_feeds_the_true_attributes():
    for forced in (False, True):
        part = build(teacher_forcing=forced).eval()
        left, right = (part.loss_of(pair(), condition(turned(degrees)))["diffusion"] for degrees in (-60.0, 60.0))
        assert left.equal(right) is not forced


def test_frames_that_do_not_exist_do_not_count():
    part, mask = build().eval(), torch.ones(BATCH, FRAMES, dtype=torch.bool)
    mask[1, 3:] = False
    whole, cut = pair(), pair()
    cut.noise[1, 3:] = 1000.0
    told = replace(condition(), mask=mask)
    torch.testing.assert_close(part.loss_of(cut, told)["diffusion"], part.loss_of(whole, told)["diffusion"])
    everything = replace(told, mask=torch.ones_like(mask))
    assert part.loss_of(cut, everything)["diffusion"] > 1000
    torch.testing.assert_close(
        part.loss_of(whole, everything)["diffusion"], part.loss_of(whole, condition())["diffusion"]
    )


def test_guidance_goes_from_unheard_to_exaggerated_speech():
    part = build(condition_dropout=0.1).eval()
    torch.nn.init.normal_(part.unheard)
    predictions = {g: part.noise_predictor(condition(), g)(pair().noised, pair().step) for g in (0.0, 1.0, 3.0)}
    torch.testing.assert_close(predictions[3.0], 3 * predictions[1.0] - 2 * predictions[0.0])
    deaf = replace(condition(), audio=torch.zeros(BATCH, FRAMES, HEARD))
    assert part.noise_predictor(deaf, 0.0)(pair().noised, pair().step).equal(predictions[0.0])
    assert not part.noise_predictor(deaf)(pair().noised, pair().step).equal(predictions[1.0])


def test_speech_is_withheld_from_the_named_share_of_clips_in_training_only():
    part = build(condition_dropout=0.3, attributes=[])
    heard: list[Tensor] = []
    part.adapter.register_forward_pre_hook(lambda _, told: heard.append(told[0]))
    many = condition()
    many = Condition(many.audio.repeat(500, 1, 1), many.start_motion.repeat(500, 1), many.portrait.repeat(500, 1))
    motion, draw = torch.zeros(500 * BATCH, FRAMES, WIDTH), torch.Generator().manual_seed(0)
    with torch.no_grad():
        part.train().loss(motion, many, draw)
        part.eval().loss(motion, many, draw)
    withheld = [(audio == 0).all(-1).all(-1).float().mean().item() for audio in heard]
    assert withheld[0] == pytest.approx(0.3, abs=0.05)
    assert withheld[1] == 0


def test_training_tells_the_named_share_of_clips_the_start_of_another():
    part = build(foreign_starts=0.3, attributes=[])
    starts: list[Tensor] = []
    part.start_code.register_forward_pre_hook(lambda _, told: starts.append(told[0]))
    own, draw = torch.arange(1000.0)[:, None].expand(-1, WIDTH), torch.Generator().manual_seed(0)
    many = Condition(torch.zeros(1000, FRAMES, HEARD), own, torch.zeros(1000, CODE))
    part.motion_range.fit(torch.tensor([[-1.0], [1.0]]).expand(-1, WIDTH))
    with torch.no_grad():
        part.train().loss(torch.zeros(1000, FRAMES, WIDTH), many, draw)
        part.eval().loss(torch.zeros(1000, FRAMES, WIDTH), many, draw)
    told = [part.motion_range.restore(start) for start in starts]
    foreign = ~torch.isclose(told[0], own).all(-1)
    assert foreign.float().mean().item() == pytest.approx(0.3, abs=0.05)
    torch.testing.assert_close(told[0][foreign], own.roll(1, 0)[foreign])
    torch.testing.assert_close(told[1], own)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_foreign_starts_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match=r"foreign_starts must be in \[0, 1\]"):
        build(foreign_starts=share)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_clips_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        build(condition_dropout=share)


def test_mixed_precision_tells_neighbouring_steps_apart():
    part, codes = build().eval(), []
    torch.nn.init.ones_(part.step_code.weight)
    part.conformer.register_forward_pre_hook(lambda _, told: codes.append(told[0]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for step in (998, 999):
            part.loss_of(pair(step), condition())
    torch.testing.assert_close((codes[1] - codes[0])[..., -4:].float(), torch.ones(BATCH, FRAMES, 4))


def test_a_representation_without_image_encoder_has_no_portrait_code():
    part = build(Landmarks())
    told = replace(condition(), portrait=torch.empty(BATCH, 0))
    assert sample(part, told).shape == (BATCH, FRAMES, WIDTH)
    with pytest.raises(ShapeError, match="portrait code"):  # the control
        sample(build(), told)


def test_another_width_than_that_of_the_codes_takes_one_layer_more():
    assert not list(build().fuse.parameters())
    part = build(dim=24)
    assert part.fuse.weight.shape == (24, HEARD + 4 * 4)


def test_pose_beyond_the_limit_is_refused_with_the_limit():
    with pytest.raises(ConfigError, match="between -90 and 90 degrees"):
        sample(build(), condition(turned(91.0)))


def test_steps_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="60 steps"):
        sample(build(), condition(), steps=60)
