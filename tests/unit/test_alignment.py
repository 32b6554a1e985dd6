import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ShapeError
from talkingface.metrics.functional.alignment import ARCFACE_TEMPLATE, align_faces, similarity_matrix, umeyama

TEMPLATE = torch.tensor(ARCFACE_TEMPLATE, dtype=torch.float64)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def turned(points: Tensor, radians: float, scale: float, shift: Tensor) -> Tensor:
    cosine, sine = torch.cos(torch.tensor(radians)), torch.sin(torch.tensor(radians))
    rotation = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])]).double()
    return scale * points @ rotation.mT + shift


def test_a_known_similarity_is_found_again():
    points, shift = draws(7, 2), torch.tensor([3.0, -4.0], dtype=torch.float64)
    scale, rotation, translation = umeyama(points, turned(points, 0.3, 1.7, shift))
    assert scale.item() == pytest.approx(1.7, abs=1e-6)
    assert torch.atan2(rotation[1, 0], rotation[0, 0]).item() == pytest.approx(0.3, abs=1e-6)
    torch.testing.assert_close(translation, shift, atol=1e-6, rtol=0)


def test_no_small_change_of_the_fit_comes_nearer():
    source, target = draws(9, 2, seed=1), draws(9, 2, seed=2)
    matrix = similarity_matrix(source, target)

    def error(linear: Tensor, shift: Tensor) -> float:
        return (source @ linear.mT + shift - target).square().sum().item()

    best = error(matrix[:, :2], matrix[:, 2])
    turn = torch.tensor([[0.0, -1e-3], [1e-3, 0.0]], dtype=torch.float64)
    for linear in (matrix[:, :2] * 1.001, matrix[:, :2] * 0.999, matrix[:, :2] + turn, matrix[:, :2] - turn):
        assert error(linear, matrix[:, 2]) > best
    for step in (torch.tensor([1e-3, 0.0]), torch.tensor([0.0, -1e-3])):
        assert error(matrix[:, :2], matrix[:, 2] + step) > best


def test_mirrored_points_are_not_mirrored_back():
    points = draws(6, 3)
    _, rotation, _ = umeyama(points, points * torch.tensor([-1.0, 1.0, 1.0]))
    assert torch.linalg.det(rotation).item() == pytest.approx(1.0)


def test_points_that_all_fit_are_aligned_one_by_one_and_together():
    source, target = draws(4, 5, 2, seed=3), draws(4, 5, 2, seed=4)
    together = similarity_matrix(source, target)
    alone = torch.stack([similarity_matrix(*pair) for pair in zip(source, target, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def test_two_shapes_are_refused():
    with pytest.raises(ShapeError, match="target"):
        umeyama(draws(5, 2), draws(4, 2))


def test_convention_an_aligned_pixel_shows_the_frame_where_the_matrix_says():
    """A frame whose red is its x and whose green is its y tells where each aligned pixel comes from."""
    y, x = torch.meshgrid(torch.arange(200), torch.arange(240), indexing="ij")
    frames = torch.stack([x, y, torch.zeros_like(x)]).byte()[None]
    points = turned(TEMPLATE, -0.2, 0.9, torch.tensor([60.0, 50.0], dtype=torch.float64))[None]
    aligned = align_faces(frames, points.float())
    for place, point in ((TEMPLATE.round().long(), points[0]),):
        seen = aligned[0, :2, place[:, 1], place[:, 0]].mT.double()
        offset = turned(place - TEMPLATE, -0.2, 0.9, torch.zeros(2, dtype=torch.float64))
        torch.testing.assert_close(seen, point + offset, atol=1e-2, rtol=0)


def test_points_on_the_template_leave_the_frame_as_it_is():
    frames = torch.randint(0, 256, (2, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    points = TEMPLATE.expand(2, 5, 2)
    torch.testing.assert_close(align_faces(frames, points), frames.float(), atol=1e-2, rtol=0)
    moved = align_faces(frames, points + 1)  # the control
    torch.testing.assert_close(moved[:, :, :-1, :-1], frames[:, :, 1:, 1:].float(), atol=1e-2, rtol=0)
    assert (moved[:, :, -1].abs().max(), moved[:, :, :, -1].abs().max()) < (1e-1, 1e-1)  # black outside
    assert not torch.allclose(moved, frames.float(), atol=1.0)


def test_a_frame_of_another_size_gives_the_same_face():
    """Twice the frame and twice the points: smooth pictures agree to what bilinear sampling leaves."""
    small = torch.nn.functional.interpolate(draws(1, 3, 8, 8, seed=6), (128, 128), mode="bicubic")
    small = (small * 40 + 128).clamp(0, 255)
    large = torch.nn.functional.interpolate(small, (256, 256), mode="bilinear")
    points = turned(TEMPLATE, 0.1, 0.8, torch.tensor([12.0, 10.0], dtype=torch.float64))[None]
    first = align_faces(small.byte(), points)
    second = align_faces(large.byte(), 2 * points + 0.5)  # pixel centres at whole numbers
    assert (first - second).abs().max() < 3.0
    assert (first - align_faces(large.byte(), points)).abs().max() > 20.0  # the control


def test_aligned_faces_agree_with_opencv():
    cv2 = pytest.importorskip("cv2")
    smooth = torch.nn.functional.interpolate(draws(1, 3, 12, 12, seed=7), (160, 180), mode="bicubic")
    frames = (smooth * 40 + 128).clamp(0, 255).byte()
    points = turned(TEMPLATE, -0.3, 0.9, torch.tensor([50.0, 60.0], dtype=torch.float64))[None]
    matrix = similarity_matrix(points[0], TEMPLATE).numpy()
    theirs = torch.from_numpy(cv2.warpAffine(frames[0].permute(1, 2, 0).numpy(), matrix, (112, 112)))
    difference = (align_faces(frames, points)[0].permute(1, 2, 0) - theirs).abs()
    assert difference.mean() < 0.5  # 8 bits
    assert difference.max() < 3.0  # cv2 samples at whole 32nds of a pixel
