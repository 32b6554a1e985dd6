"""Motion encoders with canonical keypoints, beyond what every motion encoder promises."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.motion import FaceVid2VidMotion, LivePortraitMotion

SMALL = {"size": 64, "width": 0.125}
ENCODERS = pytest.mark.parametrize("encoder", [LivePortraitMotion, FaceVid2VidMotion])


def picture(batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@ENCODERS
def test_description_is_motion_and_canonical_keypoints(encoder):
    part = encoder(**SMALL).eval()
    with torch.no_grad():
        motion, canonical = part.describe(picture())
        assert torch.equal(motion, part(picture()))
        assert torch.equal(canonical, part.canonical(picture()))


@ENCODERS
def test_a_new_one_starts_with_a_still_face(encoder):
    part = encoder(**SMALL).eval()
    with torch.no_grad():
        motion, canonical = part.describe(picture())
        placed = part.spec.keypoints(motion, canonical)
    assert (placed - canonical).abs().max() < 0.15
    assert placed.abs().max() < 1


def test_canonical_keypoints_of_a_new_liveportrait_lie_apart():
    with torch.no_grad():
        canonical = LivePortraitMotion(**SMALL).canonical(picture(1))[0]
    assert torch.pdist(canonical[:, :2]).median() > 0.2


@pytest.mark.parametrize(("encoder", "size"), [(LivePortraitMotion, 100), (FaceVid2VidMotion, 96)])
def test_an_impossible_size_is_refused(encoder, size):
    with pytest.raises(ConfigError, match=str(size)):
        encoder(size=size)


@ENCODERS
def test_a_picture_of_another_size_is_refused(encoder):
    with pytest.raises(ShapeError, match="64"):
        encoder(**SMALL)(torch.zeros(1, 3, 96, 96))


@pytest.mark.parametrize("keypoints", [15, 20, 21])
@ENCODERS
def test_number_of_keypoints_is_free(encoder, keypoints):
    motion, canonical = encoder(**SMALL, keypoints=keypoints).describe(picture())
    assert motion.shape[1] == 3 * keypoints + (7 if encoder is LivePortraitMotion else 6)
    assert canonical.shape == (2, keypoints, 3)
