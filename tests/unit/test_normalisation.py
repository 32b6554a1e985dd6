"""Range of motion codes: how much a sampler may clip."""

import copy

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ShapeError
from talkingface.generators import MotionRange

ALLOWED = 0.002  # share of values that may be clipped


def codes(std: float = 3.0, mean: float = 0.0, count: int = 20_000, dim: int = 5) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0)) * std + mean


def fitted(motion: Tensor) -> MotionRange:
    found = MotionRange(motion.shape[1])
    found.fit(motion)
    return found


def clipped(normalised: Tensor) -> Tensor:
    """Share of each dimension beyond [-1, 1]."""
    return (normalised.abs() > 1).float().mean(0)


def test_range_is_the_identity_until_fitted():
    motion = codes()
    assert torch.equal(MotionRange(5).normalise(motion), motion)
    assert torch.equal(MotionRange(5).restore(motion), motion)


@pytest.mark.parametrize(
    "motion",
    [codes(), codes(std=0.01, mean=7), codes().exp(), codes().square().neg(), codes().tanh(), codes(count=50)],
    ids=["normal", "far and narrow", "skewed", "heavy on one side", "bounded", "few"],
)
def test_almost_nothing_is_clipped(motion):
    assert (clipped(fitted(motion).normalise(motion)) < ALLOWED).all()


def test_control_without_normalisation_much_is_clipped():
    assert (clipped(MotionRange(5).normalise(codes(std=3))) > 0.7).all()


def test_unseen_motion_fits_too():
    motion = codes()
    assert (clipped(fitted(motion[:10_000]).normalise(motion[10_000:])) < ALLOWED).all()


def test_normal_codes_get_the_deviation_that_is_documented():
    assert fitted(codes(mean=2)).normalise(codes(mean=2)).std().item() == pytest.approx(0.29, abs=0.01)


def test_one_broken_frame_does_not_squeeze_the_others():
    motion = codes()
    broken = torch.cat([motion, torch.full((1, 5), 1e6)])
    torch.testing.assert_close(fitted(broken).scale, fitted(motion).scale, rtol=0.02, atol=0)


def test_restoring_undoes_normalising():
    motion = codes(mean=-4)
    found = fitted(motion)
    torch.testing.assert_close(found.restore(found.normalise(motion)), motion)
    assert not torch.allclose(found.normalise(motion), motion)


@pytest.mark.parametrize(("share", "moves"), [(0.0, False), (0.005, False), (0.02, True)])
def test_a_dimension_that_hardly_moves_rests_at_its_centre(share, moves):
    motion = codes()
    motion[:, 2] = 0.7 + share * motion[:, 2]
    found = fitted(motion)
    assert found.moving.tolist() == [True, True, True, True, moves]  # the widest come first
    assert (found.normalise(motion)[:, 4].abs().max() > 0.9) == moves
    rest = found.restore(torch.ones(5))[2].item()
    assert (rest == pytest.approx(0.7, abs=0.01)) != moves


def turned(motion: Tensor) -> Tensor:
    """The same motion on other axes."""
    generator = torch.Generator().manual_seed(1)
    return motion @ torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q


SPREAD = torch.tensor([10.0, 5.0, 2.0, 1.0, 0.5])


def test_what_moves_little_gets_a_dimension_of_its_own_whatever_the_axes():
    motion = codes(std=1.0) * SPREAD
    seen = fitted(turned(motion)).normalise(turned(motion))
    assert torch.corrcoef(torch.cat([seen, motion], dim=1).T)[:5, 5:].abs().diag().min() > 0.99
    torch.testing.assert_close(seen.std(0), torch.full((5,), 0.29), atol=0.02, rtol=0)
    left = MotionRange(2, 3)  # the control: slices keep their axes
    left.fit(turned(motion))
    assert torch.corrcoef(torch.cat([left.normalise(turned(motion)), motion], dim=1).T)[:5, 9].abs().max() < 0.2


def test_restoring_motion_on_other_axes_undoes_normalising():
    motion = turned(codes(mean=2) * SPREAD)
    found = fitted(motion)
    torch.testing.assert_close(found.restore(found.normalise(motion)), motion, atol=1e-4, rtol=1e-4)


def test_axes_do_not_lose_precision_under_autocast():
    motion = turned(codes(mean=2) * SPREAD)
    found = fitted(motion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = found.normalise(motion)
    torch.testing.assert_close(within, found.normalise(motion), atol=0, rtol=0)


def test_one_broken_frame_does_not_turn_the_axes():
    motion = turned(codes() * SPREAD)
    broken = torch.cat([motion, torch.full((1, 5), 1e6)])
    torch.testing.assert_close(fitted(broken).axes, fitted(motion).axes, atol=0.01, rtol=0)


def test_slices_of_other_units_do_not_put_each_other_to_rest():
    """Degrees beside fractions of a face: expression moves by hundredths, the head by tens."""
    motion = torch.cat([codes(std=20.0, dim=3), codes(std=0.01, dim=4)], dim=1)
    apart = MotionRange(3, 4)
    apart.fit(motion)
    assert apart.moving.all()
    torch.testing.assert_close(apart.normalise(motion).std(0), torch.full((7,), 0.29), atol=0.02, rtol=0)
    assert not fitted(motion).moving[3:].any()  # the control


def test_motion_without_any_movement_is_fitted():
    found = fitted(torch.full((3, 2), 5.0))
    assert torch.equal(found.normalise(torch.full((1, 2), 5.0)), torch.zeros(1, 2))
    assert torch.equal(found.restore(torch.ones(2)), torch.full((2,), 5.0))


def test_known_range_is_not_learnt_anew():
    found = fitted(codes())
    before = copy.deepcopy(found.state_dict())
    found.fit(codes(std=9))
    assert all(torch.equal(before[name], tensor) for name, tensor in found.state_dict().items())


def test_loaded_range_is_known():
    loaded = MotionRange(5)
    loaded.load_state_dict(fitted(codes()).state_dict())
    loaded.fit(codes(std=9))
    assert torch.equal(loaded.scale, fitted(codes()).scale)


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (torch.zeros(4, 3), "shape"),
        (torch.zeros(0, 5), "no frame"),
        (torch.full((4, 5), float("nan")), "NaN"),
    ],
)
def test_motion_that_says_nothing_is_refused(motion, message):
    with pytest.raises(ShapeError, match=message):
        MotionRange(5).fit(motion)
