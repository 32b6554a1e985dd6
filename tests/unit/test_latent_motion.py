"""Latent motion of LIA and AniTalker."""

import pytest
import torch

from talkingface.core.errors import ConfigError
from talkingface.motion import LatentMotion

SMALL = {"size": 64, "width": 0.125, "code_dim": 32}


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("settings", "count"), [({"hal": False, "decouple": False}, 22_706_772), ({}, 24_513_628)])
def test_published_number_of_parameters(settings, count):
    """LIA 22,696,532 and AniTalker 24,503,388, and the 512 x 20 directions, which they count with the decoder."""
    with torch.device("meta"):
        motion = LatentMotion(**settings)
    assert sum(p.numel() for p in motion.parameters()) == count


def test_motion_read_behind_the_shared_trunk_is_the_same(image):
    motion = LatentMotion(**SMALL)
    torch.testing.assert_close(motion(image), motion.motion_of(motion.image_encoder(image)))


def test_decoupled_motion_is_read_behind_its_head(image):
    motion = LatentMotion(**SMALL)
    code = motion.image_encoder(image)
    torch.testing.assert_close(motion.motion_of(code), motion.projector(motion.decoupling.motion(code.code)))
    assert not motion.motion_of(code).allclose(motion.projector(code.code))


def test_motion_is_the_projection_of_the_motion_features(image):
    for settings in ({}, {"decouple": False}):
        motion = LatentMotion(**SMALL, **settings)
        code = motion.image_encoder(image)
        features = motion.motion_features(code)
        assert features.shape == (2, 32)
        torch.testing.assert_close(motion.projector(features), motion.motion_of(code))


def test_identity_has_its_own_head(image):
    motion = LatentMotion(**SMALL)
    code = motion.image_encoder(image)
    assert motion.identity(code).shape == motion.identity_density(motion.identity(code)).shape == (2, 32)


def test_identity_parameters_are_those_that_motion_does_not_train(image):
    motion = LatentMotion(**SMALL)
    motion.displacement(motion(image)).sum().backward()
    untrained = {id(p) for p in motion.parameters() if p.grad is None}
    assert untrained == {id(p) for p in motion.identity_parameters()} != set()


def test_without_decoupling_there_is_no_identity(image):
    motion = LatentMotion(**SMALL, decouple=False)
    assert list(motion.identity_parameters()) == []
    with pytest.raises(ConfigError, match="decouple=True"):
        motion.identity(motion.image_encoder(image))


@pytest.mark.parametrize("dim", [10, 20, 32])
def test_spec_says_the_width(image, dim):
    motion = LatentMotion(**SMALL, dim=dim)
    assert motion.spec.dim == motion(image).shape[1] == dim


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**SMALL, "projector": "pca"}, "no projector 'pca'"),
        ({**SMALL, "dim": 33}, "33 dimensions"),
        ({**SMALL, "size": 96}, "not for size 96"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LatentMotion(**settings)
