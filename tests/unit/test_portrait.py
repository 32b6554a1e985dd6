"""Which square of a picture is animated, and how it comes back into the picture."""

import os
from pathlib import Path

import numpy as np
import pytest

from talkingface.core.errors import ConfigError, MediaError, ShapeError
from talkingface.core.images import resize, to_float, to_uint8
from talkingface.core.media import write_picture
from talkingface.data.synthetic import render_clip
from talkingface.pipelines.portrait import MARGIN, Portrait, face_square, read_portrait

REFERENCE = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
PHOTOS = REFERENCE.parent / "data" / "portraits"
photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"needs photographs in {PHOTOS}")


NOSE = (75, 92)  # of the head, in pixels


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """A synthetic head, frontal, that fills its square as the training clips do."""
    clip = render_clip(5, 0, 1, 160, audio=False)
    assert np.abs(clip.landmarks[0, 30] * 160 - NOSE).max() < 1
    return clip.frames[0]


def page(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def placed(head: np.ndarray, top: int, left: int, height: int = 300, width: int = 420) -> np.ndarray:
    """A large picture with a head in it."""
    picture = page(height, width)
    picture[top : top + len(head), left : left + len(head)] = head
    return picture


def is_round(box: tuple[int, int, int], top: int, left: int) -> bool:
    """Whether a square shows the head that was placed there: about as large, its centre by the nose."""
    x, y, side = box
    nose = left + NOSE[0], top + NOSE[1]
    return 120 < side < 160 and max(abs(x + side / 2 - nose[0]), abs(y + side / 2 - nose[1])) < side / 6


def test_the_square_is_that_of_the_training_crops():
    left, top, side = face_square((100, 80, 150, 180), height=400, width=500)
    assert side == round(MARGIN * 100)
    assert (left + side / 2, top + side / 2) == (125, 130)


@pytest.mark.parametrize("face", [(-20, -30, 60, 90), (450, 350, 520, 440), (0, 0, 500, 400), (-90, 10, 590, 390)])
def test_a_face_that_reaches_over_the_border_is_cut_inside_the_picture(face):
    left, top, side = face_square(face, height=400, width=500)
    assert min(left, top) >= 0
    assert left + side <= 500
    assert top + side <= 400
    assert side == min(round(MARGIN * max(face[2] - face[0], face[3] - face[1])), 400)


def test_the_face_is_found_in_a_large_picture(head):
    portrait = read_portrait(placed(head, top=100, left=230))
    assert is_round(portrait.box, 100, 230)
    assert not is_round(read_portrait(placed(head, top=100, left=20)).box, 100, 230)  # the control
    assert portrait.notes == ()


def test_a_square_picture_that_is_a_crop_already_stays_as_it_is(head):
    assert read_portrait(head).box == (0, 0, 160)
    assert read_portrait(placed(head, 100, 100, 300, 300)).box[2] < 300  # the control


def test_of_several_faces_the_largest_is_taken_and_said_so(head):
    small = to_uint8(resize(to_float(head)[None], 100))[0].numpy()
    picture = placed(head, top=70, left=240)
    picture[100:200, 60:160] = small
    portrait = read_portrait(picture)
    assert is_round(portrait.box, 70, 240)
    assert "2 faces" in portrait.notes[0]


def test_no_face_in_a_square_picture_is_animated_as_a_whole_and_said_so():
    portrait = read_portrait(page(64, 64))
    assert portrait.box == (0, 0, 64)
    assert "no face" in portrait.notes[0]


def test_no_face_in_another_picture_is_an_error_that_says_how_to_mend_it(tmp_path):
    write_picture(tmp_path / "wall.png", page(64, 96))
    with pytest.raises(MediaError, match=r"no face found in .*wall\.png \(96×64\).*--crop x,y,side"):
        read_portrait(tmp_path / "wall.png")
    assert read_portrait(tmp_path / "wall.png", "none").box == (16, 0, 64)


def test_a_square_can_be_given():
    portrait = read_portrait(page(64, 96), (30, 4, 50))
    assert portrait.square.shape == (50, 50, 3)


@pytest.mark.parametrize("box", [(-1, 0, 10), (0, -1, 10), (50, 0, 50), (0, 20, 50), (0, 0, 0), (0, 0, 65)])
def test_a_square_outside_of_the_picture_is_refused(box):
    with pytest.raises(ConfigError, match="96×64"):
        read_portrait(page(64, 96), box)


def test_a_crop_that_means_nothing_is_refused():
    with pytest.raises(ConfigError, match="auto, none"):
        read_portrait(page(64, 96), "middle")  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3))])
def test_an_array_that_is_no_picture_is_refused(source):
    with pytest.raises(ShapeError):
        read_portrait(source)


NOISE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.mark.parametrize("box", [(20, 10, 64), (0, 0, 90), (30, 0, 90), (119, 89, 1), (56, 26, 64)])
def test_what_does_not_change_comes_back_bit_for_bit(box):
    portrait = Portrait(NOISE, box)
    assert np.array_equal(portrait.paste(portrait.square[None].repeat(3, 0)), NOISE[None].repeat(3, 0))


def test_the_border_of_the_square_is_that_of_the_picture_and_its_middle_what_was_drawn():
    pasted = Portrait(NOISE, (20, 10, 64)).paste(np.full((1, 32, 32, 3), 255, np.uint8))[0]
    inside = np.zeros(NOISE.shape[:2], bool)
    inside[11:73, 21:83] = True
    assert np.array_equal(pasted[~inside], NOISE[~inside])  # outside, and the outermost ring: no seam
    assert (pasted[22:62, 32:72] == 255).all()


def test_nothing_fades_where_the_picture_ends():
    pasted = Portrait(NOISE, (30, 0, 90)).paste(np.full((1, 90, 90, 3), 255, np.uint8))[0]  # upper, lower, right edge
    assert (pasted[[0, -1], 60:] == 255).all()
    assert (pasted[:, -1] == 255).all()
    assert np.array_equal(pasted[:, 30], NOISE[:, 30])


def test_the_fade_is_even():
    grey, white = page(200, 200), np.full((1, 100, 100, 3), 255, np.uint8)
    row = Portrait(grey, (50, 50, 100)).paste(white)[0, 100, 49:100, 0].astype(int)
    assert row[0] == row[1] == 90
    assert row[-1] == 255
    assert 0 <= np.diff(row).min() <= np.diff(row).max() <= 0.2 * (255 - 90)


@photos
@pytest.mark.parametrize(
    ("name", "face"),
    [("lp_s0.jpg", (316, 126)), ("lp_s4.jpg", (368, 156)), ("lp_s11.jpg", (344, 325)), ("lp_s2.jpg", (1019, 933))],
)
def test_faces_of_photographs_are_found(name, face):
    portrait = read_portrait(PHOTOS / name)
    left, top, side = portrait.box
    assert side < min(portrait.picture.shape[:2])
    assert abs(left + side / 2 - face[0]) < side / 6
    assert abs(top + side / 2 - face[1]) < side / 6


@photos
@pytest.mark.parametrize("name", ["ani_aiface2.png", "ani_cartoon_girl.png", "ani_monalisa.jpg", "ani_statue.jpg"])
def test_portraits_that_are_crops_already_stay_as_they_are(name):
    portrait = read_portrait(PHOTOS / name)
    assert portrait.square.shape == portrait.picture.shape
