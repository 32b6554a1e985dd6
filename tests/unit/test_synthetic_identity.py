"""Synthetic people: who they are, how they are built, and that their anatomy holds under every expression."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from talkingface.data.synthetic import EXPRESSIONS, emotion_offset, render_frame, vector
from talkingface.data.synthetic.backdrop import backdrop
from talkingface.data.synthetic.deform import EYE_RADIUS, deform, eye_centre
from talkingface.data.synthetic.glasses import glasses
from talkingface.data.synthetic.hair import hair
from talkingface.data.synthetic.head import GRID, sculpt
from talkingface.data.synthetic.identity import BACKDROPS, HAIR_STYLES, NECKLINES, draw_identity
from talkingface.data.synthetic.landmarks import landmark_weights
from talkingface.data.synthetic.mesh import eye_edge, grid_triangles, mouth_edge
from talkingface.data.synthetic.model import build_model
from talkingface.data.synthetic.parts import body
from talkingface.data.synthetic.render import expressed, landmarks_of
from talkingface.data.synthetic.texture import ATLAS, TILES, paint


@pytest.fixture(scope="module")
def people():
    return [draw_identity(number) for number in range(300)]


@pytest.fixture(scope="module")
def person():
    return draw_identity(1)


@pytest.fixture(scope="module")
def neutral(person):
    return sculpt(person)


def test_a_number_always_names_the_same_person():
    assert draw_identity(17) == draw_identity(17)
    assert draw_identity(17) != draw_identity(18)


def test_drawing_people_leaves_the_global_random_state_alone():
    np.random.seed(0)  # it is the global state that is tested
    before = np.random.get_state()[1].copy()
    draw_identity(3)
    assert np.array_equal(before, np.random.get_state()[1])


def test_every_style_is_worn_by_somebody(people):
    assert {person.hair_style for person in people} == set(HAIR_STYLES)
    assert {person.neckline for person in people} == set(NECKLINES)
    assert {person.backdrop for person in people} == set(BACKDROPS)
    assert 0.1 < np.mean([person.glasses != 0 for person in people]) < 0.35
    assert 0.1 < np.mean([person.beard > 0.2 for person in people]) < 0.5


@pytest.mark.parametrize("name", ["skin", "hair", "brow", "iris", "lips", "cloth", "accent", "wall", "frame"])
def test_colours_are_colours_and_differ_between_people(people, name):
    colours = np.array([getattr(person, name) for person in people])
    assert (colours >= 0).all()
    assert (colours <= 1).all()
    assert colours.std(axis=0).max() > 0.02


def test_voices_range_over_those_of_men_and_women(people):
    pitch = np.array([person.pitch_hz for person in people])
    assert 80 < pitch.min() < 110
    assert 200 < pitch.max() < 260


def test_shapes_are_not_the_same_for_everybody(people):
    shapes = [name for name, value in asdict(people[0]).items() if isinstance(value, float)]
    assert all(np.std([getattr(person, name) for person in people]) > 0 for name in shapes)


def test_a_person_is_drawn_the_same_after_others_filled_the_cache():
    first = render_frame(0, (0, 0, 0), size=16)[0]
    for other in range(1, 11):
        build_model(other)
    assert np.array_equal(render_frame(0, (0, 0, 0), size=16)[0], first)


def test_the_face_is_symmetric(neutral):
    mirrored = neutral * (-1, 1, 1)
    for point in neutral[::97]:
        assert np.linalg.norm(mirrored - point, axis=1).min() < 1e-9


def test_normals_of_the_face_point_to_the_viewer():
    model = build_model(0)
    middle = (np.abs(GRID.cx) < 0.3) & (np.abs(GRID.cy) < 0.6)
    normal = model.normal[: len(GRID.cx)][middle]
    assert np.allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-4)
    assert (normal[:, 2] < 0).mean() > 0.97


def test_the_model_moves_as_the_deformation_it_was_made_of(person, neutral):
    """The linear bases are exact for one parameter alone."""
    model = build_model(1)
    count = len(neutral)
    for name in ("jaw", "smile", "brow_furrow", "lip_width", "blink_left"):
        expected = deform(neutral, person, vector(**{name: 1.0}).astype(float))
        assert np.allclose(expressed(model, vector(**{name: 1.0}))[:count], expected, atol=1e-4)


def test_expressions_leave_the_back_of_the_head_alone(person, neutral):
    back = np.cos(GRID.azimuth) < 0
    rest = deform(neutral, person, np.zeros(len(EXPRESSIONS)))
    for name in EXPRESSIONS:
        moved = deform(neutral, person, vector(**{name: 1.0}).astype(float))
        assert np.abs(moved - rest)[back].max() < 1e-9


@pytest.mark.parametrize("number", [0, 1, 5])
@pytest.mark.parametrize("blink", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_lids_never_sink_into_the_eyeball(number, blink):
    model = build_model(number)
    neutral = sculpt(model.identity)
    vertices = expressed(model, vector(blink_left=blink, blink_right=blink))
    for side in (-1, 1):
        for lower in (False, True):
            edge = eye_edge(side, lower)[2:-2]
            distance = np.linalg.norm(vertices[edge] - eye_centre(neutral, side), axis=1)
            assert distance.min() > 0.99 * EYE_RADIUS


@pytest.mark.parametrize("number", [0, 1, 5])
def test_upper_and_lower_lip_never_cross(number):
    model = build_model(number)
    rng = np.random.default_rng(number)
    upper, lower = mouth_edge(lower=False), mouth_edge(lower=True)
    for _ in range(60):
        expression = np.zeros(len(EXPRESSIONS), np.float32)
        for name in ("jaw", "lip_width", "rounding", "press", "smile", "lip_part", "sneer", "smirk"):
            expression[EXPRESSIONS.index(name)] = rng.uniform()
        vertices = expressed(model, expression)
        assert (vertices[lower, 1] - vertices[upper, 1]).min() > -0.012


def test_landmarks_are_weighted_means_of_skin(person):
    index, weight = landmark_weights(person)
    assert index.shape == weight.shape == (68, 4)
    assert np.allclose(weight.sum(axis=1), 1, atol=1e-6)
    assert weight.min() > -1e-6
    assert index.max() < len(GRID.cx)


def test_the_nose_tip_landmark_is_the_foremost_point_of_the_face():
    model = build_model(0)
    vertices = expressed(model, vector())
    tip = landmarks_of(model, vertices)[30]
    assert tip[2] == pytest.approx(vertices[: len(GRID.cx), 2].min(), abs=0.01)


def test_faces_have_human_proportions(people):
    """Ratios of landmark distances within the usual range of adults."""
    for number in range(6):
        model = build_model(number)
        p = landmarks_of(model, expressed(model, vector()))
        eyes = p[[36, 39]].mean(axis=0), p[[42, 45]].mean(axis=0)
        between = eyes[1][0] - eyes[0][0]
        assert 0.40 < between / (p[16, 0] - p[0, 0]) < 0.55
        assert 0.6 < (p[54, 0] - p[48, 0]) / between < 1.0
        assert 0.3 < (p[33, 1] - eyes[0][1]) / (p[8, 1] - eyes[0][1]) < 0.5


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_of_every_style_covers_the_crown_and_spares_the_eyes(person, style):
    shell = hair(replace(person, hair_style=style))[0]
    assert np.isfinite(shell.position).all()
    assert shell.position[:, 1].min() < -1.04
    front = (np.abs(shell.position[:, 0]) < 0.3) & (shell.position[:, 2] < -0.5)
    assert shell.position[front, 1].max() < -0.15


@pytest.mark.parametrize("neckline", NECKLINES)
def test_the_body_follows_the_head_at_the_neck_and_not_at_the_shoulders(person, neckline):
    part = body(replace(person, neckline=neckline))
    height = part.position[:, 1]
    assert part.follow[height < 0.5].min() == 1
    assert part.follow[height > 1.4].max() == 0


def test_only_who_has_glasses_wears_them(person, neutral):
    assert glasses(replace(person, glasses=0.0), neutral) == []
    for shape in (-0.7, 0.7):
        worn = glasses(replace(person, glasses=shape), neutral)
        assert min(part.position[:, 2].min() for part in worn) < neutral[np.abs(GRID.cx) > 0.2, 2].min() - 0.02


def test_paint_fills_tiles_that_do_not_overlap(person):
    atlas = paint(person)
    assert atlas.shape == (*ATLAS, 3)
    assert np.isfinite(atlas).all()
    taken = np.zeros(ATLAS, int)
    for left, top, width, height in TILES.values():
        taken[top : top + height, left : left + width] += 1
        assert left + width <= ATLAS[1]
        assert top + height <= ATLAS[0]
    assert taken.max() == 1


@pytest.mark.parametrize("scene", BACKDROPS)
def test_a_backdrop_is_the_same_picture_at_every_size(person, scene):
    where = replace(person, backdrop=scene)
    small, large = backdrop(where, 32), backdrop(where, 64)
    assert np.abs(large.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)) - small).mean() < 0.01
    assert small.min() > 0
    assert small.max() <= 1


def test_a_grid_has_two_triangles_a_cell_that_face_the_viewer():
    triangles = grid_triangles(3, 4)
    assert triangles.shape == (12, 3)
    y, x = np.divmod(np.arange(12), 4)
    u = np.stack([x, y], 1)[triangles]
    first, second = u[:, 1] - u[:, 0], u[:, 2] - u[:, 0]
    assert (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] > 0).all()


def test_an_unknown_parameter_or_emotion_is_refused():
    with pytest.raises(KeyError):
        vector(jawline=1.0)
    with pytest.raises(KeyError):
        emotion_offset("bored", 1)
