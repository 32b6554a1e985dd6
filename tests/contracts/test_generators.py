"""What every motion generator of the registry promises: losses, gradients, samples, prefixes, seeds, saving.

A generator that is added to the registry is tested from that moment; one that needs other settings, or has variants
worth testing, names them in ``VARIANTS``.
"""

import copy
import inspect
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface import registry
from talkingface.audio import MelSpeech
from talkingface.core.component import Component, build, wired_names
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import MotionEncoder, MotionGenerator
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.motion import LatentMotion

BATCH, FRAMES, WIDTH, FELT, HEARD, CODE = 3, 9, 6, 4, 16, 32
SMALL = {"dim": 32, "blocks": 1, "dropout": 0.0}
DIFFUSION = {**SMALL, "static": 4, "hidden": 5}
VARIANTS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("generator", "diffusion"): [
        {**DIFFUSION, "attributes": []},
        {**DIFFUSION, "attributes": ["pose"], "dim": 24},
        {**DIFFUSION, "attributes": ["location", "scale", "pose"]},
        {**DIFFUSION, "attributes": ["location", "scale", "pose"], "teacher_forcing": True, "condition_dropout": 0.5},
        {**DIFFUSION, "attributes": ["pose"], "emotions": ["neutral", "happy"], "emotion_dropout": 0.5},
    ],
    ("generator", "audio2exp"): [{}],
}
WITHOUT_DRAWS = {"regression", "audio2exp"}  # the same motion for every seed
EDITORS = {"audio2exp"}  # change a motion that is there, and at first not even that
STEPS = 5


class Expressive(MotionEncoder):
    """A representation whose expression lies apart from the rest, as emotions want it."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"expression": FELT, "pose": WIDTH - FELT})

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Case:
    """One generator in one configuration."""

    name: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        changed = [f"{key}={value}" for key, value in self.settings.items() if SMALL.get(key) != value]
        return "-".join([self.name, *changed])

    def build(self) -> MotionGenerator:
        wired = self.wired()
        part = registry.load("generator", self.name)(*wired, **self.settings)
        assert isinstance(part, MotionGenerator)
        if self.name in EDITORS:  # as if it had been trained a little
            torch.nn.init.normal_(part.zero.weight, std=0.02)
        return part

    def wired(self) -> list[Component]:
        torch.manual_seed(0)  # the same weights each time
        latent = LatentMotion(size=64, width=0.125, code_dim=CODE, dim=WIDTH)
        apart = "emotions" in self.settings or self.name in EDITORS
        return [Expressive() if apart else latent, MelSpeech(dim=HEARD, blocks=0)]


CASES = [
    Case(name, settings)
    for name in registry.names("generator")
    if registry.describe("generator", name).origin == "talkingface"
    for settings in VARIANTS.get(("generator", name), [SMALL])
]


def motion(seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(BATCH, FRAMES, WIDTH, generator=torch.Generator().manual_seed(seed))


def tracks(pose: float = 10.0) -> dict[str, Tensor]:
    """Every control that there is."""
    return {
        "pose": torch.full((BATCH, FRAMES, 3), pose),
        "location": torch.full((BATCH, FRAMES), 0.5),
        "scale": torch.full((BATCH, FRAMES), 0.4),
        "emotion": torch.full((BATCH, FRAMES, FELT), pose / 100),
        "mouth": torch.full((BATCH, FRAMES), pose / 50),
    }


def condition(controls: dict[str, Tensor] | None = None) -> Condition:
    draw = torch.Generator().manual_seed(1)
    return Condition(
        torch.randn(BATCH, FRAMES, HEARD, generator=draw),
        0.3 * torch.randn(BATCH, WIDTH, generator=draw),
        torch.randn(BATCH, CODE, generator=draw),
        controls or {},
    )


def losses(part: MotionGenerator, seed: int = 0) -> dict[str, Tensor]:
    """Losses of one fixed batch, told everything."""
    return part.loss(motion(), condition(tracks()), torch.Generator().manual_seed(seed))


def total(part: MotionGenerator) -> Tensor:
    return torch.stack(list(losses(part).values())).sum()


def sample(part: MotionGenerator, told: Condition | None = None, seed: int = 0, **settings: Any) -> Tensor:
    return part.eval().sample(told or condition(), torch.Generator().manual_seed(seed), **{"steps": STEPS, **settings})


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def part(case: Case) -> MotionGenerator:
    return case.build()


def test_motion_encoder_and_audio_encoder_are_wired_in(case):
    assert wired_names(registry.load("generator", case.name)) == ("motion_encoder", "audio_encoder")


def test_what_is_wired_in_keeps_its_weights(case):
    wired = case.wired()
    part = registry.load("generator", case.name)(*wired, **case.settings)
    owned = {id(parameter) for parameter in part.parameters()}
    assert owned.isdisjoint(id(parameter) for other in wired for parameter in other.parameters())


def test_losses_are_finite_numbers_with_names(part):
    found = losses(part)
    assert found
    for loss in found.values():
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert loss.isfinite()


def test_gradients_reach_every_parameter(part):
    total(part.train()).backward()
    without = [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_gradients_reach_the_audio_encoder(part):
    told = condition(tracks())
    told.audio.requires_grad_()
    torch.stack(list(part.loss(motion(), told, torch.Generator().manual_seed(0)).values())).sum().backward()
    assert told.audio.grad is not None
    assert told.audio.grad.any()


def test_losses_take_tracks_that_are_unknown_or_have_gaps(part):
    """A data set has the same tracks for every generator."""
    gaps = {name: track.clone() for name, track in tracks().items()}
    for track in gaps.values():
        track[:, ::2] = float("nan")
    for controls in ({}, gaps, {name: torch.full_like(track, float("nan")) for name, track in gaps.items()}):
        found = torch.stack(list(part.loss(motion(), condition(controls)).values())).sum()
        found.backward()
        assert found.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in part.parameters())


def test_one_step_lowers_the_loss(part):
    part.eval()  # batch statistics would change with the step
    before = total(part)
    before.backward()
    with torch.no_grad():
        slope = sum(p.grad.square().sum() for p in part.parameters() if p.grad is not None)
        for parameter in part.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * before.item() / slope * parameter.grad
        assert total(part) < before


def test_losses_repeat_with_their_seed(part):
    part.eval()
    assert torch.equal(total(part), total(part))


def test_samples_have_the_promised_shape(part):
    found = sample(part)
    assert found.shape == (BATCH, FRAMES, WIDTH)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert not found.requires_grad


def test_same_seed_gives_the_same_motion_bit_for_bit(part):
    assert torch.equal(sample(part, seed=3), sample(part, seed=3))


def test_another_seed_gives_another_motion_where_it_draws(case, part):
    assert torch.equal(sample(part, seed=3), sample(part, seed=4)) == (case.name in WITHOUT_DRAWS)


def test_samples_leave_the_global_generator_alone(part):
    before = torch.get_rng_state()
    sample(part)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_voice_gives_another_motion(part):
    told = condition()
    assert not torch.equal(sample(part, told), sample(part, replace(told, audio=told.audio.roll(1, 1))))


def test_prefix_is_kept_exactly(part):
    part.calibrate(5 * motion().flatten(0, 1) + 1)  # so that normalising and restoring could round
    prefix = motion(2)[:, :4]
    found = sample(part, prefix=prefix)
    assert torch.equal(found[:, :4], prefix)
    assert not torch.equal(sample(part)[:, :4], prefix)  # the control


@pytest.mark.parametrize("shape", [(BATCH, FRAMES, WIDTH), (BATCH, 2, WIDTH + 1), (BATCH + 1, 2, WIDTH)])
def test_prefix_that_does_not_fit_is_refused(part, shape):
    with pytest.raises(ShapeError, match="prefix"):
        sample(part, prefix=torch.zeros(shape))


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_any_length_can_be_sampled(part, frames):
    told = replace(condition(), audio=torch.randn(BATCH, frames, HEARD))
    assert sample(part, told).shape == (BATCH, frames, WIDTH)


def test_an_editor_starts_from_the_motion_that_it_is_given(case, part):
    if case.name not in EDITORS:
        pytest.skip("it makes motion, and edits none")
    told = condition()
    given = replace(told, original=told.start_motion[:, None].expand(-1, FRAMES, -1))
    assert torch.equal(sample(part, given), sample(part, told))
    assert not torch.equal(sample(part, replace(told, original=motion(5))), sample(part, told))


def test_controls_that_are_known_change_the_motion(part):
    for name in part.attributes:
        free, told = sample(part), sample(part, condition({name: tracks(60.0)[name]}))
        assert not torch.equal(free, told), name


def test_control_without_values_changes_nothing(part):
    nothing = {name: torch.full_like(tracks()[name], float("nan")) for name in part.attributes}
    assert torch.equal(sample(part), sample(part, condition(nothing)))


def test_unknown_controls_are_refused(part):
    for name in {"mood", *tracks()} - set(part.attributes):
        with pytest.raises(ConfigError, match=name):
            sample(part, condition({name: torch.zeros(BATCH, FRAMES)}))


def test_guidance_is_refused_unless_it_was_trained(case, part):
    if case.settings.get("condition_dropout"):
        assert not torch.equal(sample(part, guidance=2.0), sample(part))
    else:
        with pytest.raises(ConfigError, match="guid"):
            sample(part, guidance=2.0)


def test_samples_move_with_the_calibrated_range(case, part):
    if case.name in EDITORS:
        pytest.skip("its samples lie where the motion lies that it edits")
    part.calibrate(0.1 * torch.randn(2000, WIDTH, generator=torch.Generator().manual_seed(0)) + 50)
    assert (sample(part) - 50).abs().max() < 5


def test_calibration_happens_once(part):
    part.calibrate(motion().flatten(0, 1) + 50)
    before = sample(part)
    part.calibrate(motion().flatten(0, 1) - 50)
    assert torch.equal(sample(part), before)


def test_configuration_survives_json(case, part):
    config = json.loads(json.dumps(part.config))
    again = build(config, *case.wired())
    assert type(again) is type(part)
    assert again.config == config == part.config
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in part.state_dict().items()}


def test_every_setting_is_recorded(part):
    keywords = inspect.signature(type(part)).parameters.values()
    assert list(part.config["init_args"]) == [p.name for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY]


def test_saved_generator_makes_the_same_motion(case, part, tmp_path: Path):
    part.calibrate(5 * motion().flatten(0, 1) + 1)
    part.save_pretrained(tmp_path)
    again = type(part).from_pretrained(tmp_path, *case.wired())
    assert torch.equal(sample(part), sample(again))
    fresh = registry.load("generator", case.name)(*case.wired(), **case.settings)
    assert not torch.equal(sample(part), sample(fresh))  # the control


def test_half_precision_is_finite(part):
    with torch.autocast("cpu", torch.bfloat16):
        loss = total(part.train())
        found = sample(part)
    loss.backward()
    assert loss.isfinite()
    assert found.isfinite().all()
    assert all(p.grad.isfinite().all() for p in part.parameters())


def test_deep_copy_is_independent(part):
    """EMA copies whole tasks; a copy must not share weights or cached results."""
    before = sample(part)
    with torch.no_grad():
        for parameter in copy.deepcopy(part).parameters():
            parameter.add_(0.1)
    assert torch.equal(sample(part), before)


def test_what_is_told_is_left_alone(part):
    told = condition({name: tracks()[name] for name in part.attributes})
    before = copy.deepcopy(told)
    sample(part, told, prefix=motion()[:, :2])
    part.train().loss(motion(), told)
    for name in ("audio", "start_motion", "portrait"):
        assert torch.equal(getattr(told, name), getattr(before, name))
    assert all(torch.equal(told.controls[name], before.controls[name]) for name in told.controls)
