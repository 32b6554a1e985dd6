import pytest
import torch

from talkingface.core.checks import check_finite, check_image, check_shape
from talkingface.core.errors import ShapeError


@pytest.mark.parametrize(
    "wanted", [(2, 3, 4), ("B", 3, "T"), (None, None, None), (..., 4), (..., 3, 4), (..., 2, 3, 4), (...,)]
)
def test_a_shape_that_fits_passes(wanted):
    check_shape(torch.zeros(2, 3, 4), wanted, "x")


@pytest.mark.parametrize("wanted", [(2, 3), (2, 3, 5), ("B", 4, "T"), (..., 3), (..., 1, 2, 3, 4)])
def test_a_shape_that_does_not_fit_is_refused(wanted):
    with pytest.raises(ShapeError):
        check_shape(torch.zeros(2, 3, 4), wanted, "x")


def test_the_message_names_the_tensor_what_it_is_and_what_it_should_be():
    with pytest.raises(ShapeError, match=r"motion has shape \(2, 5\), expected \(\.\.\., 7\)"):
        check_shape(torch.zeros(2, 5), (..., 7), "motion")


def test_an_image_batch_passes():
    check_image(torch.zeros(2, 3, 8, 9))
    check_image(torch.zeros(2, 3, 8, 8), size=8)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (torch.zeros(2, 1, 8, 8), "1 channels"),
        (torch.zeros(2, 8, 8, 3), "8 channels"),
        (torch.zeros(3, 8, 8), "shape"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "uint8"),
    ],
)
def test_what_is_no_image_batch_is_refused_with_the_reason(image, complaint):
    with pytest.raises(ShapeError, match=complaint):
        check_image(image)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="expected"):
        check_image(torch.zeros(2, 3, 8, 8), size=16)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused_with_its_place(bad):
    tensor = torch.zeros(2, 3)
    tensor[1, 2] = bad
    with pytest.raises(ShapeError, match=r"x has 1 values .* first at \(1, 2\)"):
        check_finite(tensor, "x")


def test_finite_values_pass():
    check_finite(torch.tensor([0.0, 1e30]), "x")
