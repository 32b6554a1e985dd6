"""The rasteriser alone: coverage, depth, interpolation, culling."""

import numpy as np
import pytest

from talkingface.data.synthetic.rasterizer import rasterize

WIDTH = 16


def draw(points, triangles, values=None, double_sided=False):
    """Rasterise and give a picture of the first attribute, NaN where nothing is."""
    points = np.asarray(points, np.float32)
    values = np.ones((len(points), 1), np.float32) if values is None else np.asarray(values, np.float32)
    triangles = np.asarray(triangles).T
    seen = rasterize(points, values, triangles, WIDTH, np.full(triangles.shape[1], double_sided))
    assert len(np.unique(seen.sample)) == len(seen.sample), "a sample was drawn twice"
    picture = np.full(WIDTH * WIDTH, np.nan)
    picture[seen.sample] = seen.values[:, 0]
    return picture.reshape(WIDTH, WIDTH)


SQUARE = [(3, 3, 0), (12, 3, 0), (3, 12, 0), (12, 12, 0)]
HALVES = [(0, 1, 2), (1, 3, 2)]


def test_a_triangle_covers_its_area():
    covered = np.isfinite(draw([(1, 1, 0), (14, 2, 0), (4, 13, 0)], [(0, 1, 2)])).sum()
    assert covered == pytest.approx(0.5 * (13 * 12 - 3 * 1), rel=0.08)


def test_two_halves_of_a_square_cover_it_without_a_gap():
    assert np.isfinite(draw(SQUARE, HALVES))[4:12, 4:12].all()


def test_one_half_of_a_square_leaves_a_gap():
    assert not np.isfinite(draw(SQUARE, HALVES[:1]))[4:12, 4:12].all()


def test_the_back_of_a_triangle_is_not_drawn():
    flipped = [(a, c, b) for a, b, c in HALVES]
    assert not np.isfinite(draw(SQUARE, flipped)).any()
    assert np.isfinite(draw(SQUARE, flipped, double_sided=True)).sum() == np.isfinite(draw(SQUARE, HALVES)).sum()


@pytest.mark.parametrize("near_first", [True, False])
def test_the_nearer_triangle_hides_the_farther_one_in_any_order(near_first):
    far = [(x, y, 5.0) for x, y, _ in SQUARE]
    points, values = SQUARE + far, [[1.0]] * 4 + [[2.0]] * 4
    behind = [tuple(index + 4 for index in triangle) for triangle in HALVES]
    triangles = HALVES + behind if near_first else behind + HALVES
    picture = draw(points, triangles, values)
    assert np.nanmax(picture) == pytest.approx(1.0)


def test_values_are_interpolated_linearly():
    values = [[x + 10 * y] for x, y, _ in SQUARE]
    picture = draw(SQUARE, HALVES, values)
    shear = np.where(np.arange(4, 12) % 2 == 1, 0.25, -0.25)  # odd sample rows lie half a step aside
    expected = np.arange(4, 12)[None] + shear[:, None] + 10 * np.arange(4, 12)[:, None]
    assert np.allclose(picture[4:12, 4:12], expected, atol=1e-3)


def test_what_lies_outside_of_the_picture_is_cut_off():
    picture = draw([(-50, -50, 0), (90, -50, 0), (-50, 90, 0)], [(0, 1, 2)])
    assert np.isfinite(picture).all()


def test_nothing_in_sight_gives_no_samples():
    assert not np.isfinite(draw([(30, 30, 0), (40, 30, 0), (30, 40, 0)], [(0, 1, 2)])).any()
