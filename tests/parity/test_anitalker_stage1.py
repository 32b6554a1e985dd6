"""AniTalker stage 1 at 256 px: the numbers of the published implementation, through the converter that users get."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.convert import parts_from_checkpoint
from talkingface.core.interfaces import ImageCode
from talkingface.core.records import Source
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer

ROLES = {"source": "source", "target": "drive0", "face": "drive1", "aug": "drive2"}


class Model:
    """The converted network, its oracle, and the codes of the four pictures."""

    def __init__(self, oracle: Any) -> None:
        self.oracle = oracle
        # As in the released file: flat, some of the names behind the training module's attribute.
        tensors = {f"lia.{name}": tensor for name, tensor in oracle.equalised("anitalker_stage1_keys.json").items()}
        parts = parts_from_checkpoint("anitalker", tensors)
        self.motion, self.renderer = parts["motion_encoder"], parts["renderer"]
        assert isinstance(self.motion, LatentMotion)
        assert isinstance(self.renderer, LIARenderer)
        with torch.no_grad():
            seen = self.motion.image_encoder(torch.cat([oracle.image(name) for name in ROLES.values()]))
            self.source: Source = self.renderer.appearance(oracle.image("source"))
        self.pyramid = seen.pyramid
        self.codes = {role: ImageCode(seen.code[i : i + 1], ()) for i, role in enumerate(ROLES)}

    @torch.no_grad()
    def render(self, motion: Tensor) -> Tensor:
        return self.renderer(self.source, motion).image

    @torch.no_grad()
    def alpha(self, role: str) -> Tensor:
        return self.motion.motion_of(self.codes[role])


@pytest.fixture(scope="module")
def model(oracle: Callable[[str, str], Any]) -> Model:
    return Model(oracle("lia_anitalker", "anitalker_stage1"))


@pytest.mark.parametrize(("role", "name"), [("source", "h_source"), ("source", "enc_h_source"), ("face", "enc_h_face")])
def test_code_is_aggregated_over_the_hierarchy(model, measured, role, name):
    measured.code(model.codes[role].code, model.oracle[name])


def test_weights_of_the_hierarchy(model, measured):
    measured.code(model.motion.image_encoder.hal.weights.detach().softmax(0), model.oracle["hal_softmax_weights"])


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("source", "alpha_source"),
        ("target", "enc_h_motion"),
        ("face", "enc_h_another_face_target"),
        ("face", "alpha_drive1"),
    ],
)
def test_motion_code(model, measured, role, name):
    measured.code(model.alpha(role), model.oracle[name])


def test_control_motion_without_decoupling_is_another(model, measured):
    """A leftover method of the published class projects the code directly; its numbers are known too."""
    with torch.no_grad():
        bypass = [model.motion.projector(model.codes[role].code) for role in ROLES]
    assert min((motion - model.oracle["enc_motion_bypass"]).abs().max() for motion in bypass) < 1e-4
    assert (bypass[0] - model.oracle["alpha_source"]).abs().max() > 0.1


@pytest.mark.parametrize("role", ROLES)
@torch.no_grad()
def test_identity_and_motion_embeddings(model, measured, role):
    code = model.codes[role]
    identity = model.motion.identity(code)
    measured.code(identity, model.oracle[f"enc_h_{role}_id_emb"])
    measured.code(model.motion.decoupling(code.code), model.oracle[f"enc_h_{role}_idrm_emb"])
    measured.code(model.motion.identity_density(identity), model.oracle[f"enc_h_{role}_id_density_emb"])


def test_feature_pyramid(model, measured):
    for level, features in enumerate(model.pyramid):
        measured.code(features[:1].mean((2, 3)), model.oracle[f"feat{level}_chan_mean"])


def test_motion_basis(model, measured):
    with torch.no_grad():
        measured.code(model.motion.projector.basis(), model.oracle["Q"])


@pytest.mark.parametrize(("role", "name"), [("target", "img_drive0"), ("face", "img_drive1"), ("source", "img_self")])
def test_driving(model, measured, role, name):
    measured.image(model.render(model.alpha(role)), model.oracle[name])


def test_zero_motion(model, measured):
    measured.image(model.render(torch.zeros(1, 20)), model.oracle["img_zero"])


def test_random_motion(model, measured):
    motion = model.oracle.tensor("alpha_rand", (1, 20), scale=0.5)
    measured.code(motion, model.oracle["alpha_rand"])
    measured.image(model.render(motion), model.oracle["img_alpha_rand"])


def test_control_another_weighting_of_the_hierarchy_is_seen(model):
    hal = model.motion.image_encoder.hal
    with torch.no_grad():
        image, before = model.oracle.image("source"), hal.weights.clone()
        hal.weights.zero_()
        code = model.motion.image_encoder(image).code
        hal.weights.copy_(before)
    assert (code - model.oracle["h_source"]).abs().max() > 0.01
