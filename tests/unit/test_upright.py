"""LivePortrait's squares round a face, turned upright, and the way back into the picture."""

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.core.errors import MediaError
from talkingface.data.synthetic import render_clip
from talkingface.pipelines.border import border_contrast
from talkingface.pipelines.portrait import Portrait, read_portrait
from talkingface.pipelines.upright import DRIVING, PORTRAIT, Square, UprightPortrait, landmark_square

CLIP = render_clip(5, 0, 1, 160, audio=False)
PICTURE = CLIP.frames[0]
LANDMARKS = torch.from_numpy(CLIP.landmarks[0] * 160).float()


def upright_face() -> Tensor:
    """Points whose box is 40 wide and 60 high about (100, 80), the eyes level."""
    points = torch.tensor([100.0, 80.0]).repeat(68, 1)
    points[0], points[1] = torch.tensor([80.0, 50.0]), torch.tensor([120.0, 110.0])
    for corner, place in {
        36: (85, 70),
        39: (95, 70),
        42: (105, 70),
        45: (115, 70),
        48: (90, 95),
        54: (110, 95),
    }.items():
        points[corner] = torch.tensor(place, dtype=torch.float32)
    return points


def turned(points: Tensor, degrees: float, about: tuple[float, float] = (100.0, 80.0)) -> Tensor:
    """Points turned clockwise on the screen."""
    angle = torch.deg2rad(torch.tensor(degrees))
    matrix = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    return (points - torch.tensor(about)) @ matrix.T + torch.tensor(about)


def test_the_square_of_a_portrait_is_that_of_the_published_rule():
    square = landmark_square(upright_face(), *PORTRAIT, turned=True)
    assert square.side == pytest.approx(2.3 * 60)
    assert square.centre == pytest.approx((100, 80 - 0.125 * 2.3 * 60))
    assert square.turn == pytest.approx(0)


@pytest.mark.parametrize("degrees", [30.0, -75.0])
def test_the_square_turns_with_the_head(degrees):
    level = landmark_square(upright_face(), *PORTRAIT, turned=True)
    square = landmark_square(turned(upright_face(), degrees), *PORTRAIT, turned=True)
    assert square.turn == pytest.approx(degrees, abs=1e-4)
    assert square.side == pytest.approx(level.side)
    assert square.centre == pytest.approx(turned(torch.tensor([level.centre]), degrees)[0].tolist(), abs=1e-4)


def test_the_square_of_a_driving_face_stands_as_the_picture():
    square = landmark_square(turned(upright_face(), 20), *DRIVING, turned=False)
    box = turned(upright_face(), 20)
    assert square.turn == 0
    assert square.side == pytest.approx(2.2 * float((box.amax(0) - box.amin(0)).max()), rel=1e-5)


def test_a_face_without_extent_from_eyes_to_mouth_counts_as_upright():
    points = turned(upright_face(), 40)
    points[[36, 39, 42, 45, 48, 54]] = 100.0
    assert landmark_square(points, *PORTRAIT, turned=True).turn == 0


def test_fractions_are_the_inverse_of_places():
    square = Square((30.0, 50.0), 40.0, turn=25.0)
    fractions = torch.rand(7, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(square.fractions(square.places(*fractions.unbind(-1))), fractions)


def test_a_tilted_head_stands_upright_in_its_square():
    """The picture turned by a quarter shows the same square as the picture as it was."""
    lying = np.ascontiguousarray(np.rot90(PICTURE, -1))  # clockwise
    points = torch.stack((159 - LANDMARKS[:, 1], LANDMARKS[:, 0]), -1)
    upright = UprightPortrait(PICTURE, landmark_square(LANDMARKS + 0.5, *PORTRAIT, turned=True))
    tilted = UprightPortrait(lying, landmark_square(points + 0.5, *PORTRAIT, turned=True))
    assert tilted.frame.turn - upright.frame.turn == pytest.approx(90, abs=1e-3)
    assert np.abs(upright.square.astype(int) - tilted.square).max() <= 1
    assert np.abs(upright.square.astype(int) - np.rot90(tilted.square, -1)).max() > 50  # the control


def test_what_lies_beyond_the_picture_is_black():
    portrait = UprightPortrait(np.full((20, 20, 3), 200, np.uint8), Square((0.0, 10.0), 20.0))
    assert portrait.square.shape == (20, 20, 3)
    assert (portrait.square[:, :9] == 0).all()
    assert (portrait.square[1:-1, 11:] == 200).all()


NOISE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_a_square_that_is_not_turned_is_pasted_as_a_box_is():
    box, white = (20, 10, 64), np.full((1, 64, 64, 3), 255, np.uint8)
    upright = UprightPortrait(NOISE, Square.of_box(box))
    assert np.array_equal(upright.square, Portrait(NOISE, box).square)
    turned_back, boxed = upright.paste(white)[0], Portrait(NOISE, box).paste(white)[0]
    fading = np.zeros(NOISE.shape[:2], bool)
    fading[10:74, 20:84], fading[17:67, 27:77] = True, False  # seven pixels: it begins half a pixel later
    assert np.array_equal(turned_back[~fading], boxed[~fading])
    assert not np.array_equal(turned_back[fading], boxed[fading])  # the control
    assert np.array_equal(upright.paste(upright.square[None])[0], NOISE)


def test_a_turned_square_comes_back_to_where_it_was():
    frame = Square((60.0, 45.0), 50.0, turn=30.0)
    white = UprightPortrait(NOISE, frame).paste(np.full((2, 25, 25, 3), 255, np.uint8))
    assert white.shape == (2, 90, 120, 3)
    places = frame.fractions(torch.tensor([[60.5, 45.5], [60.5, 85.5], [44.5, 45.5], [82.5, 19.5]]))
    assert ((places > 0.1) & (places < 0.9)).all(-1).tolist() == [True, False, True, False]
    assert (white[:, 45, [60, 44]] == 255).all()
    assert np.array_equal(white[0, 85, 60], NOISE[85, 60])
    assert np.array_equal(white[0, 19, 82], NOISE[19, 82])


def test_a_portrait_is_cut_by_its_landmarks():
    portrait = read_portrait(PICTURE, "landmarks", lambda frames: LANDMARKS.expand(len(frames), -1, -1))
    assert isinstance(portrait, UprightPortrait)
    assert portrait.frame == landmark_square(LANDMARKS, *PORTRAIT, turned=True)


def test_a_portrait_without_landmarks_is_refused():
    with pytest.raises(MediaError, match=r"no face found in the portrait \(160×160\)"):
        read_portrait(PICTURE, "landmarks", lambda frames: torch.full((1, 68, 2), torch.nan))


def photo(size: int) -> np.ndarray:
    """A picture with texture everywhere, and a square of it, at (60, 50) and 120 wide, drawn brighter."""
    head = render_clip(3, 0, 1, 160, audio=False).frames[0]
    return np.tile(head, (2, 2, 1))[:size, :size]


DRAWN = (60, 50, 120)


def brighter(portrait: Portrait | UprightPortrait) -> np.ndarray:
    return np.clip(portrait.square.astype(int) + 40, 0, 255).astype(np.uint8)[None]


@pytest.mark.parametrize("turn", [0.0, 25.0])
def test_the_border_of_a_pasted_square_does_not_show(turn):
    """A change of brightness by 40; the control pastes without a fade."""
    picture, square = photo(240), Square((120.0, 110.0), 120.0, turn)
    portrait = UprightPortrait(picture, square)
    pasted = portrait.paste(brighter(portrait))[0]
    grid = np.stack(np.meshgrid(np.arange(240) + 0.5, np.arange(240) + 0.5), -1)
    inside = ((fractions := square.fractions(torch.from_numpy(grid))) > 0).all(-1) & (fractions < 1).all(-1)
    naive = np.where(inside.numpy()[..., None], np.clip(picture.astype(int) + 40, 0, 255), picture).astype(np.uint8)
    untouched = border_contrast(picture, square)
    assert border_contrast(pasted, square) < untouched + 0.2
    assert border_contrast(naive, square) > untouched + 1


def test_the_border_of_a_pasted_box_does_not_show():
    picture = photo(240)
    portrait = Portrait(picture, DRAWN)
    pasted, naive = portrait.paste(brighter(portrait))[0], picture.copy()
    naive[50:170, 60:180] = brighter(portrait)[0]
    square = Square.of_box(DRAWN)
    assert border_contrast(pasted, square) < border_contrast(picture, square) + 0.2
    assert border_contrast(naive, square) > border_contrast(picture, square) + 1


def test_a_square_as_large_as_the_picture_has_no_border():
    assert border_contrast(PICTURE, Square.of_box((0, 0, 160))) == 1
    assert border_contrast(np.zeros((40, 40, 3), np.uint8), Square.of_box((10, 10, 20))) == 1


def test_the_gradient_beside_the_border_is_the_yardstick():
    """Steps of 1 everywhere and of 3 across the left and right side: as many sides again have none at all."""
    row = np.arange(60) + 2 * (np.arange(60) >= 20) + 2 * (np.arange(60) >= 40)
    picture = np.repeat(np.repeat(row[None, :, None], 60, 0), 3, 2).astype(np.uint8)
    assert border_contrast(picture, Square.of_box((20, 20, 20))) == pytest.approx(3, abs=1e-3)
