import pytest
import torch

from talkingface.core.errors import ShapeError
from talkingface.core.geometry import (
    HOPENET_BINS,
    LIVEPORTRAIT_BINS,
    base_grid,
    euler,
    expected_degrees,
    facevid2vid_rotation,
    geodesic_angle,
    liveportrait_rotation,
    rotation,
    sample,
)

NOSE = torch.tensor([0.0, 0.0, -1.0])  # z is into the screen, so the nose points out of it
CROWN = torch.tensor([0.0, -1.0, 0.0])  # y is down


def turned(vector: torch.Tensor, yaw: float = 0, pitch: float = 0, roll: float = 0) -> list[float]:
    result = rotation(torch.tensor([yaw, pitch, roll], dtype=torch.float64)) @ vector.double()
    return [round(value, 6) + 0.0 for value in result.tolist()]


def test_convention_positive_yaw_turns_the_nose_to_the_left_of_the_picture():
    assert turned(NOSE, yaw=90) == [-1, 0, 0]


def test_convention_positive_pitch_turns_the_nose_down():
    assert turned(NOSE, pitch=90) == [0, 1, 0]


def test_convention_positive_roll_turns_the_head_clockwise_on_the_screen():
    assert turned(CROWN, roll=90) == [1, 0, 0]


def test_convention_pitch_is_applied_first_then_yaw_then_roll():
    pose = torch.tensor([20.0, 30.0, 40.0], dtype=torch.float64)
    yaw, pitch, roll = (rotation(pose * torch.eye(3, dtype=torch.float64)[i]) for i in range(3))
    assert torch.allclose(rotation(pose), roll @ yaw @ pitch)
    assert not torch.allclose(rotation(pose), yaw @ pitch @ roll)  # the control: another order is another rotation


def test_convention_pose_is_in_degrees():
    assert torch.allclose(rotation(torch.tensor([360.0, 0.0, 0.0])), torch.eye(3), atol=1e-6)


def test_a_rotation_is_orthogonal_and_keeps_handedness():
    matrix = rotation(torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 90)
    assert torch.allclose(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-12)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(50, dtype=torch.float64))


def test_euler_angles_are_the_inverse_of_rotation():
    pose = torch.tensor([[20.0, -30.0, 40.0], [-85.0, 170.0, -170.0]], dtype=torch.float64)
    assert torch.allclose(euler(rotation(pose)), pose)
    assert not torch.allclose(euler(rotation(pose).mT), pose)  # the control


def test_convention_liveportrait_turns_row_vectors():
    pose = torch.tensor([20.0, 30.0, 40.0])
    assert torch.allclose(NOSE @ liveportrait_rotation(pose), rotation(pose) @ NOSE)


def test_convention_face_vid2vid_applies_roll_first_and_is_ten_degrees_off():
    pose = torch.tensor([20.0, 30.0, 40.0], dtype=torch.float64)
    assert geodesic_angle(facevid2vid_rotation(pose), rotation(pose)) > 10
    for axis in torch.eye(3, dtype=torch.float64):  # about one axis only its rounded π differs
        assert geodesic_angle(facevid2vid_rotation(pose * axis), rotation(pose * axis)) < 0.03


@pytest.mark.parametrize(("first_bin", "middle"), [(LIVEPORTRAIT_BINS, 0.0), (HOPENET_BINS, -1.5)])
def test_convention_a_bin_is_three_degrees(first_bin, middle):
    assert expected_degrees(torch.zeros(66), first_bin).item() == pytest.approx(middle, abs=1e-4)
    sure = torch.full((66,), -100.0)
    sure[40] = 100.0
    assert expected_degrees(sure, first_bin).item() == pytest.approx(40 * 3 - first_bin)


def test_a_pose_of_another_width_is_refused():
    with pytest.raises(ShapeError, match="pose"):
        rotation(torch.zeros(2, 4))


@pytest.mark.parametrize("degrees", [0.0, 1.0, 30.0, 90.0, 179.0])
def test_the_angle_between_a_head_and_its_turn_is_the_turn(degrees):
    first = rotation(torch.tensor([10.0, -20.0, 5.0], dtype=torch.float64))
    turn = rotation(torch.tensor([0.0, degrees, 0.0], dtype=torch.float64))
    assert geodesic_angle(first, first @ turn).item() == pytest.approx(degrees, abs=1e-4)


def test_a_head_is_at_no_angle_from_itself_in_single_precision():
    heads = rotation(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 40)
    assert geodesic_angle(heads, heads).max() == 0


def test_the_angle_is_symmetric():
    first, second = rotation(torch.tensor([[10.0, 20.0, 30.0], [-40.0, 5.0, 0.0]], dtype=torch.float64))
    assert geodesic_angle(first, second).item() == pytest.approx(geodesic_angle(second, first).item())


def test_convention_the_grid_is_corner_aligned_with_x_before_y():
    grid = base_grid(3, 5, torch.zeros(1))
    assert grid.shape == (1, 3, 5, 2)
    assert grid[0, 0, 0].tolist() == [-1, -1]
    assert grid[0, 0, -1].tolist() == [1, -1]
    assert grid[0, -1, 0].tolist() == [-1, 1]


def test_the_grid_has_the_type_of_its_model():
    assert base_grid(2, 2, torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("size", [8, 64])
def test_convention_the_grid_of_no_motion_zooms_out_by_r_over_r_minus_1(size):
    """Grid and sampling disagree about corners, in every published weight: pixel i is read at (i r/(r-1)) - 1/2."""
    ramp = torch.arange(size, dtype=torch.float64).expand(1, 1, size, size)
    read = sample(ramp, base_grid(size, size, ramp))[0, 0, size // 2]
    wanted = torch.arange(size, dtype=torch.float64) * size / (size - 1) - 0.5
    assert torch.allclose(read[1:-1], wanted[1:-1])
    assert not torch.allclose(read[1:-1], ramp[0, 0, 0, 1:-1])  # the control: it is not the identity


def test_convention_what_lies_outside_is_zero():
    picture = torch.ones(1, 1, 8, 8)
    grid = base_grid(8, 8, picture)
    assert sample(picture, grid)[0, 0, 0, 0].item() == pytest.approx(0.25)  # half a pixel outside on both axes
    assert (sample(picture, grid + 3) == 0).all()


def test_a_step_to_the_right_in_the_grid_reads_further_right():
    picture = torch.zeros(1, 1, 9, 9)
    picture[0, 0, 4, 6] = 1
    grid = base_grid(9, 9, picture)
    moved = sample(picture, grid + torch.tensor([4 / 9, 0.0]))  # two pixels
    assert (moved[0, 0].argmax() % 9).item() == 4
