import numpy as np
import pytest
import torch

from talkingface.core.errors import ShapeError
from talkingface.core.images import center_square, filmstrip, resize, seen_at, to_float, to_uint8


def test_convention_black_is_minus_one_and_white_is_one():
    frames = np.array([[[[0, 0, 0], [255, 255, 255]]]], dtype=np.uint8)
    assert to_float(frames)[0, :, 0, 0].tolist() == [-1, -1, -1]
    assert to_float(frames)[0, :, 0, 1].tolist() == [1, 1, 1]


def test_convention_channels_are_red_green_blue_and_come_before_height():
    frames = np.zeros((2, 5, 7, 3), dtype=np.uint8)
    frames[..., 0] = 255
    image = to_float(frames)
    assert image.shape == (2, 3, 5, 7)
    assert (image[:, 0] == 1).all()
    assert (image[:, 1:] == -1).all()


def test_convention_parts_exchange_contiguous_float32():
    image = to_float(np.zeros((2, 4, 4, 3), dtype=np.uint8))
    assert image.dtype == torch.float32
    assert image.is_contiguous()


def test_every_pixel_value_survives_the_round_trip():
    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    assert np.array_equal(to_uint8(to_float(frames)).numpy(), frames)


def test_values_outside_the_range_are_clamped():
    image = torch.tensor([-5.0, 0.0, 5.0]).view(1, 3, 1, 1)
    assert to_uint8(image).flatten().tolist() == [0, 128, 255]


def test_the_input_is_left_alone():
    image = torch.zeros(1, 3, 2, 2)
    to_uint8(image)
    assert (image == 0).all()


@pytest.mark.parametrize(
    "frames", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 3), np.uint8)]
)
def test_what_is_no_file_picture_is_refused(frames):
    with pytest.raises(ShapeError, match="expected uint8"):
        to_float(frames)


def test_a_single_picture_has_no_batch_axis():
    assert to_float(np.zeros((4, 6, 3), np.uint8)).shape == (3, 4, 6)


def test_resizing_to_the_same_size_changes_nothing():
    image = torch.rand(1, 3, 8, 8)
    assert resize(image, 8) is image


def test_resizing_keeps_a_flat_picture_flat():
    assert torch.allclose(resize(torch.full((1, 3, 9, 9), 0.3), (4, 5)), torch.full((1, 3, 4, 5), 0.3))


def test_shrinking_averages_instead_of_picking_pixels():
    stripes = torch.tensor([-1.0, 1.0]).repeat(32).expand(1, 3, 64, 64)
    assert resize(stripes, 16).abs().max() < 0.2
    assert stripes[..., ::4].abs().min() == 1  # the control: picking pixels sees stripes


@pytest.mark.parametrize(("shape", "columns"), [((4, 10, 3), slice(3, 7)), ((4, 4, 3), slice(0, 4))])
def test_the_square_is_cut_from_the_middle(shape, columns):
    frame = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(center_square(frame), frame[:, columns])


def test_a_tall_video_is_cut_at_top_and_bottom():
    frames = np.random.default_rng(0).integers(0, 255, (2, 10, 4, 3), dtype=np.uint8)
    assert np.array_equal(center_square(frames), frames[:, 3:7])


def test_a_picture_of_a_renderers_size_is_averaged_to_what_a_network_sees():
    large = torch.arange(3 * 16.0).view(1, 3, 4, 4)
    assert seen_at(large, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert seen_at(large, 4) is large
    for size in (3, 8):
        with pytest.raises(ShapeError, match="expected"):
            seen_at(large, size)


def test_a_filmstrip_goes_from_the_first_frame_to_the_last_in_whole_pixels():
    frames = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    strip = filmstrip(frames, count=3, height=9)
    assert strip.shape == (8, 3 * 8, 3)  # twice as large: three times would be higher than asked for
    assert [int(strip[0, column, 0]) for column in (0, 7, 8, 16)] == [0, 0, 4, 8]
    assert filmstrip(frames[:2], count=5).shape == (128, 2 * 128, 3)
