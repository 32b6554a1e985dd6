import pytest

from talkingface.core import errors


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (errors.ShapeError, ValueError),
        (errors.MediaError, OSError),
        (errors.ConfigError, ValueError),
        (errors.WeightsError, RuntimeError),
        (errors.DeviceError, RuntimeError),
    ],
)
def test_every_error_is_ours_and_of_a_standard_kind(error, standard):
    assert issubclass(error, errors.TalkingFaceError)
    assert issubclass(error, standard)


def test_the_nearest_name_comes_first():
    assert errors.did_you_mean("rendrer", ["motion", "encoder", "renderer"]).split(", ")[0] == "renderer"


def test_all_known_names_are_listed():
    assert set(errors.did_you_mean("x", ["a", "b", "c"]).split(", ")) == {"a", "b", "c"}


def test_names_that_are_equally_far_come_in_alphabetical_order():
    assert errors.did_you_mean("q", ["c", "a", "b"]) == "a, b, c"
