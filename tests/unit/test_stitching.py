import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ShapeError
from talkingface.motion import Retargeting


def points(seed: int, count: int = 21) -> Tensor:
    return 0.3 * torch.randn(2, count, 3, generator=torch.Generator().manual_seed(seed))


def trained(part: Retargeting) -> Retargeting:
    for network in (part.stitching, part.eyes, part.lips):
        torch.nn.init.normal_(network[-1].weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return part


def test_a_new_one_changes_nothing():
    part, source, driving = Retargeting(), points(0), points(1)
    assert torch.equal(part.stitch(source, driving), driving)
    assert not part.open_eyes(source, torch.ones(2, 2), torch.ones(2, 1)).any()
    assert not part.open_lips(source, torch.ones(2, 1), torch.ones(2, 1)).any()


def test_a_trained_one_changes_every_keypoint():
    """Control of the test above."""
    part, source, driving = trained(Retargeting()), points(0), points(1)
    assert (part.stitch(source, driving) != driving).all()


def test_the_shift_of_all_keypoints_leaves_their_depth():
    part, source, driving = Retargeting(keypoints=15), points(0, 15), points(1, 15)
    with torch.no_grad():
        part.stitching[-1].bias[-2:] = torch.tensor([0.2, -0.1])
    step = part.stitch(source, driving) - driving
    torch.testing.assert_close(step, torch.tensor([0.2, -0.1, 0.0]).expand(2, 15, 3))


@pytest.mark.parametrize("name", ["open_eyes", "open_lips"])
def test_offsets_depend_on_how_far_to_open(name):
    part, source = trained(Retargeting()), points(0)
    now = torch.full((2, 2 if name == "open_eyes" else 1), 0.3)
    wide, closed = (getattr(part, name)(source, now, torch.full((2, 1), ratio)) for ratio in (0.5, 0.0))
    assert wide.shape == (2, 21, 3)
    assert not torch.equal(wide, closed)


def test_another_number_of_keypoints_is_refused():
    with pytest.raises(ShapeError, match=r"keypoints has shape \(2, 15, 3\), expected \(2, 21, 3\)"):
        Retargeting().stitch(points(0), points(1, 15))


def test_ratios_of_another_number_of_faces_are_refused():
    with pytest.raises(ShapeError, match="target eye ratio"):
        Retargeting().open_eyes(points(0), torch.ones(2, 2), torch.ones(1, 1))
