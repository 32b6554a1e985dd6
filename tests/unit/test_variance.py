"""The variance adapter: predicted or given attributes, frame by frame, in public units."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.generators.variance import ATTRIBUTES, VarianceAdapter, check_controls

NAN = float("nan")


@pytest.fixture
def adapter() -> VarianceAdapter:
    torch.manual_seed(0)
    return VarianceAdapter(16, list(ATTRIBUTES), hidden=8)


@pytest.fixture
def speech() -> Tensor:
    return torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1))


def tracks() -> dict[str, Tensor]:
    half = torch.full((2, 6), 0.5)
    return {"location": half.clone(), "scale": half, "pose": torch.full((2, 6, 3), 9.0)}


def test_without_attributes_speech_is_left_as_it_is(speech):
    adapted, predicted = VarianceAdapter(16, [])(speech, {})
    assert adapted.equal(speech)
    assert predicted == {}
    assert list(VarianceAdapter(16, []).parameters()) == []


def test_attributes_have_the_published_order_however_they_are_named():
    assert VarianceAdapter(4, ["pose", "location", "scale"]).attributes == ("location", "scale", "pose")


def test_each_attribute_is_predicted_from_the_sum_before_it(adapter, speech):
    first = adapter.predictors["location"](speech)
    after = speech + adapter.encoders["location"](first)
    predicted = adapter(speech, {})[1]
    assert predicted["location"].equal(first)
    assert predicted["scale"].equal(adapter.predictors["scale"](after))
    assert not predicted["scale"].equal(adapter.predictors["scale"](speech))


def test_a_given_track_replaces_the_prediction(adapter, speech):
    free, predicted = adapter(speech, {})
    before_pose = free - adapter.encoders["pose"](predicted["pose"])
    turned = adapter(speech, {"pose": torch.full((2, 6, 3), 30.0)})[0]
    torch.testing.assert_close(turned, before_pose + adapter.encoders["pose"](torch.full((2, 6, 3), 30 / 90)))


def test_giving_what_is_predicted_changes_nothing(adapter, speech):
    adapted, predicted = adapter(speech, {})
    torch.testing.assert_close(adapter(speech, {"pose": 90 * predicted["pose"]})[0], adapted)


def test_nan_frames_are_predicted(adapter, speech):
    given = torch.full((2, 6, 3), 45.0)
    given[:, 3:] = NAN
    mixed, whole = adapter(speech, {"pose": given})[0], adapter(speech, {"pose": given.nan_to_num(45)})[0]
    assert mixed.isfinite().all()
    torch.testing.assert_close(mixed[:, :3], whole[:, :3])
    assert not torch.allclose(mixed[:, 3:], whole[:, 3:])


def test_pose_beyond_a_quarter_turn_is_clipped(adapter, speech):
    far, limit = (adapter(speech, {"pose": torch.full((2, 6, 3), angle)})[0] for angle in (170.0, 90.0))
    assert far.equal(limit)


def test_losses_are_squared_errors_in_quarter_turns(adapter, speech):
    predicted = adapter(speech, {})[1]
    losses = adapter.losses(predicted, tracks())
    assert list(losses) == ["location", "scale", "pose"]
    torch.testing.assert_close(losses["pose"], (predicted["pose"] - 0.1).square().mean())
    torch.testing.assert_close(losses["scale"], (predicted["scale"] - 0.5).square().mean())


def test_frames_without_truth_do_not_count(adapter, speech):
    predicted = adapter(speech, {})[1]
    holes = tracks()
    holes["location"][0, 2:] = NAN
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 1:] = False
    expected = (predicted["location"][..., 0] - 0.5).square()
    expected = torch.stack([expected[0, 0], expected[0, 1], expected[1, 0]]).mean()
    torch.testing.assert_close(adapter.losses(predicted, holes, mask)["location"], expected)


@pytest.mark.parametrize("controls", [{}, {"pose": torch.full((2, 6, 3), NAN)}])
def test_without_any_truth_the_loss_is_zero_and_has_gradients(adapter, speech, controls):
    loss = adapter.losses(adapter(speech, {})[1], controls)["pose"]
    loss.backward()
    assert loss == 0
    assert all(not p.grad.isnan().any() for p in adapter.predictors["pose"].parameters())


def test_gradients_are_finite_where_truth_is_missing(adapter, speech):
    given = tracks() | {"pose": torch.full((2, 6, 3), NAN)}
    adapted, predicted = adapter(speech, given)
    (adapted.sum() + sum(adapter.losses(predicted, given).values())).backward()
    assert all(p.grad.isfinite().all() for p in adapter.parameters())


def test_predictors_learn_through_the_encoders_unless_the_truth_is_fed(adapter, speech):
    adapter(speech, tracks())[0].sum().backward()
    assert not adapter.predictors["pose"].linear.weight.grad.any()
    adapter(speech, {})[0].sum().backward()
    assert adapter.predictors["pose"].linear.weight.grad.any()


def test_encoders_and_predictors_work_in_the_range_of_the_clips():
    """Heads that turn by two degrees, at places about the middle, are as plain to see as any other."""
    generator = torch.Generator().manual_seed(0)
    pose, location = 2 * torch.randn(5000, 3, generator=generator), 0.5 + 0.02 * torch.randn(5000, generator=generator)
    pose[::7] = torch.nan
    found = VarianceAdapter(8, ["pose", "location"], 16)
    seen = {}
    for name, encoder in found.encoders.items():
        encoder.register_forward_hook(lambda _, told, __, name=name: seen.update({name: told[0]}))
    told = {"pose": pose[1:7][None], "location": location[1:7][None]}
    found(torch.zeros(1, 6, 8), told)
    assert seen["pose"].std() < 0.05  # the control: in quarter turns
    found.fit({"pose": pose, "location": location, "scale": location})
    _, predicted = found(torch.zeros(1, 6, 8), told)
    assert 0.15 < seen["pose"].std() < 0.45
    assert seen["location"].abs().max() < 1
    assert predicted["location"].detach() == pytest.approx(0.5, abs=0.05)  # a fresh predictor says the middle
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    found.fit({"pose": 9 * pose})
    assert all(tensor.equal(before[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("controls", [{}, {"pose": torch.full((9, 3), torch.nan)}])
def test_without_truth_the_networks_units_stay(controls):
    found = VarianceAdapter(8, ["pose"], 16)
    found.fit(controls)
    assert not found.ranges["pose"].known


def test_unknown_attribute_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'poses'; known: pose"):
        VarianceAdapter(4, ["poses"])


def test_controls_within_the_limits_are_accepted():
    check_controls(tracks() | {"pose": torch.full((2, 6, 3), -90.0)}, list(ATTRIBUTES), 2, 6)
    check_controls({"pose": torch.full((2, 6, 3), NAN)}, ["pose"], 2, 6)


@pytest.mark.parametrize(
    ("name", "track", "error", "message"),
    [
        ("pose", torch.full((2, 6, 3), 91.0), ConfigError, "91; it must lie between -90 and 90 degrees"),
        ("location", torch.full((2, 6), -0.1), ConfigError, "between 0 and 1 of the frame's width"),
        ("scale", torch.full((2, 6), float("inf")), ConfigError, "inf; it must lie"),
        ("pose", torch.zeros(2, 5, 3), ShapeError, r"\(2, 5, 3\), expected \(2, 6, 3\)"),
        ("location", torch.zeros(2, 6, 1), ShapeError, r"expected \(2, 6\)"),
        ("emotion", torch.zeros(2, 6), ConfigError, "cannot be told 'emotion'"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_limit(name, track, error, message):
    with pytest.raises(error, match=message):
        check_controls({name: track}, list(ATTRIBUTES), 2, 6)


def test_training_truth_of_another_shape_is_refused(adapter, speech):
    with pytest.raises(ShapeError, match="control 'pose'"):
        adapter(speech, {"pose": torch.zeros(2, 3, 6)})
