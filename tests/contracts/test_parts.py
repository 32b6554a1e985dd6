"""What every part of the registry promises: shapes, gradients, configuration, saving, determinism, learning.

A part that is added to the registry is tested from that moment with the small configuration of its kind; one that
needs another configuration, or has variants worth testing, names them in ``VARIANTS``.
"""

import copy
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from talkingface import registry
from talkingface.core.component import Component, build
from talkingface.core.interfaces import Discriminator, MotionEncoder, Renderer
from talkingface.core.nn import LIATrunk
from talkingface.evaluation import SyntheticControls
from talkingface.motion import LatentMotion

SIZE = 64
SMALL = {"size": SIZE, "width": 0.125}
LATENT = {**SMALL, "code_dim": 32}
VARIANTS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("motion", "latent"): [
        {**LATENT, "hal": hal, "decouple": hal, "projector": projector, "dim": dim}
        for hal in (True, False)
        for projector in ("lmd", "fc")
        for dim in (10, 20)
    ],
    ("motion", "liveportrait"): [{**SMALL, "keypoints": 21}, {**SMALL, "keypoints": 15}],
    ("motion", "facevid2vid"): [{**SMALL, "depth": 4}],
    ("motion", "landmarks"): [{"reader": SyntheticControls()}],
    ("motion", "coefficients"): [{"expression": 16, "reader": SyntheticControls()}],
    ("renderer", "facevid2vid"): [
        {**SMALL, "depth": 4},
        {**SMALL, "depth": 4, "output": 2 * SIZE},
        {**SMALL, "depth": 4, "decoder": "plain"},
    ],
    ("discriminator", "patch"): [{"width": 0.125}],
}


@dataclass(frozen=True)
class Case:
    """One part in one configuration."""

    kind: str
    name: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        changed = [f"{key}={value}" for key, value in self.settings.items() if key not in (*LATENT, "reader")]
        return "-".join([self.kind, self.name, *changed])

    def build(self) -> Component:
        torch.manual_seed(0)
        return registry.load(self.kind, self.name)(*self.wired(), **self.settings)

    @property
    def learns(self) -> bool:
        """Whether it has weights; explicit representations have none."""
        return any(True for _ in self.build().parameters())

    def wired(self) -> list[Component]:
        return [LatentMotion(**LATENT, dim=6)] if self.kind == "renderer" else []


MEASURED = {"landmarks", "coefficients"}  # the explicit representations, which have no weights

CASES = [
    Case(kind, name, settings)
    for kind in ("motion", "renderer", "discriminator")
    for name in registry.names(kind)
    if registry.describe(kind, name).origin == "talkingface"
    for settings in VARIANTS.get((kind, name), [SMALL])
]


def picture(batch: int, seed: int = 0) -> Tensor:
    coarse = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")


def outputs(part: Component, batch: int = 2) -> dict[str, Tensor]:
    """Everything that a part computes from fixed pictures."""
    if isinstance(part, MotionEncoder):
        found = {"motion": part(picture(batch))}
        if part.spec.convention is not None:
            found["canonical"] = part.canonical(picture(batch))
        if part.image_encoder is not None:
            code = part.image_encoder(picture(batch))
            found |= {"code": code.code, "displacement": part.displacement(part.motion_of(code))}
            found |= {f"map{level}": features for level, features in enumerate(code.pyramid)}
            if list(part.identity_parameters()):
                found["identity"] = part.identity_density(part.identity(code))
        return found
    if isinstance(part, Renderer):
        source = part.appearance(picture(batch))
        rendered = part(source, 0.3 * torch.randn(source.motion.shape, generator=torch.Generator().manual_seed(1)))
        return {"image": rendered.image, "flow": rendered.flow, "occlusion": rendered.occlusion}
    assert isinstance(part, Discriminator)
    return {"logit": part(picture(batch))}


def loss_of(part: Component) -> Tensor:
    """Something that needs every output, for gradients."""
    return torch.stack([output.square().mean() for output in outputs(part).values()]).sum()


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def part(case: Case) -> Component:
    return case.build()


@pytest.fixture
def learning(case: Case) -> None:
    """For what is promised of parts with weights."""
    if not case.learns:
        assert case.name in MEASURED
        pytest.skip("nothing is learned in this part")


def test_outputs_have_the_promised_shapes(part):
    found = outputs(part, batch=3)
    if isinstance(part, MotionEncoder):
        assert found["motion"].shape == (3, part.spec.dim)
        if part.spec.convention is not None:
            assert found["canonical"].shape == (3, part.spec.num_keypoints, 3)
        if part.image_encoder is not None:
            trunk = part.image_encoder
            assert found["code"].shape == found["displacement"].shape == (3, trunk.code_dim)
            for level, channels in enumerate(trunk.channels):
                assert found[f"map{level}"].shape == (3, channels, 8 * 2**level, 8 * 2**level)
            assert 8 * 2**level == trunk.size
    elif isinstance(part, Renderer):
        assert found["image"].shape == (3, 3, part.size, part.size)
        assert found["flow"].shape == (3, part.size, part.size, 2)
        assert found["occlusion"].shape == (3, 1, part.size, part.size)
        assert found["occlusion"].min() >= 0
        assert found["occlusion"].max() <= 1
    else:
        assert found["logit"].shape[0] == 3
        assert found["logit"].ndim == 2


def test_outputs_are_finite_float32(part):
    for output in outputs(part).values():
        assert output.dtype == torch.float32
        assert output.isfinite().all()


def test_gradients_reach_every_parameter(learning, part):
    loss_of(part).backward()
    without = [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_a_module_outside_is_not_part_of_the_part(case):
    """Control of the test above: what is wired in keeps its weights to itself."""
    wired = case.wired()
    if not wired:
        pytest.skip("nothing is wired into this part")
    part = registry.load(case.kind, case.name)(*wired, **case.settings)
    owned = {id(parameter) for parameter in part.parameters()}
    assert owned.isdisjoint(id(parameter) for parameter in wired[0].parameters())


def test_configuration_survives_json(case, part):
    config = json.loads(json.dumps(part.config))
    again = build(config, *case.wired())
    assert type(again) is type(part)
    assert again.config == part.config
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in part.state_dict().items()}


def test_every_setting_is_recorded(part):
    keywords = inspect.signature(type(part)).parameters.values()
    assert list(part.config["init_args"]) == [p.name for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY]


def test_saved_part_computes_the_same(case, part, tmp_path: Path):
    part.save_pretrained(tmp_path)
    torch.manual_seed(0)  # so that the wired part is the same one
    again = type(part).from_pretrained(tmp_path, *case.wired())
    with torch.no_grad():
        before, after = outputs(part.eval()), outputs(again)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_seed_is_another_part(learning, case, part):
    """Control: equality after loading is not equality of everything."""
    torch.manual_seed(1)
    other = registry.load(case.kind, case.name)(*case.wired(), **case.settings)
    with torch.no_grad():
        before, after = outputs(part), outputs(other)
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_same_input_gives_the_same_output(part):
    with torch.no_grad():
        first, second = outputs(part), outputs(part)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_and_inference_compute_the_same(part):
    """Without gradients parts work in place and keep what does not change; nothing else may differ.

    A batch norm learns from statistics of the batch, so a part with one is compared as it is used.
    """
    trained = outputs(part.train(not any(isinstance(module, _BatchNorm) for module in part.modules())))
    with torch.inference_mode():
        inferred = outputs(part.eval())
    for name, output in trained.items():
        torch.testing.assert_close(inferred[name], output.detach(), atol=1e-5, rtol=1e-5)


def test_input_is_left_alone(part):
    image = picture(2)
    before = image.clone()
    with torch.no_grad():
        part.appearance(image) if isinstance(part, Renderer) else part(image)
    assert torch.equal(image, before)


def test_one_step_lowers_the_loss(learning, part):
    before = loss_of(part)
    before.backward()
    with torch.no_grad():
        slope = sum(p.grad.square().sum() for p in part.parameters())
        for parameter in part.parameters():
            parameter -= 0.01 * before.item() / slope * parameter.grad
        after = loss_of(part)
    assert after < before


def test_half_precision_training_is_finite(learning, part):
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(part)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in part.parameters())


def test_deep_copy_is_independent(part):
    """EMA copies whole tasks; a copy must not share weights or cached results."""
    with torch.no_grad():
        before = outputs(part)
        for parameter in copy.deepcopy(part).parameters():
            parameter.add_(0.1)
        after = outputs(part)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_trunk_counts_as_one_module():
    """The renderer that shares a trunk has none of its own."""
    renderer = registry.load("renderer", "lia")(LatentMotion(**LATENT), **SMALL)
    assert not any(isinstance(module, LIATrunk) for module in renderer.modules())
