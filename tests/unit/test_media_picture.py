"""Pictures: every kind that a phone or a browser saves comes upright, as 8-bit RGB; bad ones give one clear line."""

import numpy as np
import pytest
from PIL import Image

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.media import is_picture, read_picture, write_picture


@pytest.fixture
def corner():
    """A picture that is red in its upper left quarter and blue elsewhere, 32 high and 48 wide."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[..., 2] = 255
    pixels[:16, :24] = (255, 0, 0)
    return pixels


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_lossless_formats_come_back_unchanged(tmp_path, corner, suffix):
    write_picture(tmp_path / f"a{suffix}", corner)
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}"), corner)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_comes_back_nearly_unchanged(tmp_path, corner, suffix):
    write_picture(tmp_path / f"a{suffix}", corner)
    assert np.abs(read_picture(tmp_path / f"a{suffix}").astype(int) - corner).mean() < 2


# What each EXIF orientation does to a picture that is stored as it is: (row, column) of the red corner when upright.
@pytest.mark.parametrize(
    ("orientation", "shape", "red"),
    [
        (1, (32, 48), (0, 0)),
        (2, (32, 48), (0, -1)),
        (3, (32, 48), (-1, -1)),
        (4, (32, 48), (-1, 0)),
        (5, (48, 32), (0, 0)),
        (6, (48, 32), (0, -1)),
        (7, (48, 32), (-1, -1)),
        (8, (48, 32), (-1, 0)),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_orientation_is_applied(tmp_path, corner, orientation, shape, red, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(corner).save(tmp_path / f"phone.{suffix}", exif=exif)
    picture = read_picture(tmp_path / f"phone.{suffix}")
    assert picture.shape[:2] == shape
    corners = {(r, c): picture[r, c] for r in (0, -1) for c in (0, -1)}
    assert [place for place, colour in corners.items() if colour[0] > 128] == [red]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_transparency_is_composed_over_white(tmp_path, suffix):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:, 3] = 255  # transparent black beside solid black
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", lossless=True)
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert (picture[:, :10] == 255).all()
    assert (picture[:, 10:] == 0).all()


def test_half_transparency_is_blended(tmp_path):
    pixels = np.full((20, 20, 4), (0, 0, 0, 128), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert abs(int(read_picture(tmp_path / "a.png")[0, 0, 0]) - 127) <= 1


def test_transparent_palette_entry_is_white(tmp_path):
    picture = Image.new("P", (20, 20), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.paste(1, (10, 0, 20, 20))
    picture.save(tmp_path / "a.gif", transparency=0)
    read = read_picture(tmp_path / "a.gif")
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, 15].tolist() == [255, 0, 0]


def test_grey_of_16_bits_keeps_its_range(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (20, 1))).save(tmp_path / "deep.png")
    assert Image.open(tmp_path / "deep.png").mode.startswith("I")
    read = read_picture(tmp_path / "deep.png")
    assert read[0, :, 1].tolist() == list(range(256))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    name = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new("RGB", (20, 30), (255, 255, 255)).convert(mode).save(name)
    picture = read_picture(name)
    assert picture.shape == (30, 20, 3)
    assert picture.dtype == np.uint8
    assert picture.min() > 250


def test_too_small_a_picture_is_refused_with_its_size(tmp_path, corner):
    write_picture(tmp_path / "tiny.png", corner[:15])
    with pytest.raises(MediaError, match=r"tiny\.png is too small \(48×15 pixels, at least 16×16"):
        read_picture(tmp_path / "tiny.png")
    assert read_picture(tmp_path / "tiny.png", min_size=15).shape == (15, 48, 3)


def test_missing_picture_names_the_nearest(tmp_path, corner):
    write_picture(tmp_path / "portrait.png", corner)
    with pytest.raises(MediaError, match=r"portrat\.png does not exist\. Did you mean one of: portrait\.png"):
        read_picture(tmp_path / "portrat.png")


def test_folder_empty_text_and_cut_off_pictures_are_told_apart(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    write_picture(tmp_path / "whole.jpg", noise)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    for name, reason in {
        ".": "is a folder",
        "empty.png": r"empty\.png is empty",
        "text.jpg": r"text\.jpg is not a picture that can be read\. Export it",
        "phone.heic": "HEIC is not read",
        "cut.jpg": r"cut\.jpg is damaged or cut off",
    }.items():
        with pytest.raises(MediaError, match=reason) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_unknown_suffix_is_refused_before_writing(tmp_path, corner):
    with pytest.raises(MediaError, match=r"Use one of: \.png"):
        write_picture(tmp_path / "a.xyz", corner)
    assert list(tmp_path.iterdir()) == []


def test_float_picture_is_refused(tmp_path, corner):
    with pytest.raises(ShapeError, match="expected uint8"):
        write_picture(tmp_path / "a.png", corner.astype(np.float32))


def test_failing_write_leaves_the_old_picture(tmp_path, corner, monkeypatch):
    write_picture(tmp_path / "a.png", corner)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(MediaError, match=r"No space left on device\. Free some space"):
        write_picture(tmp_path / "a.png", corner[::-1])
    monkeypatch.undo()
    assert np.array_equal(read_picture(tmp_path / "a.png"), corner)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_is_known_by_suffix_then_by_content(tmp_path, corner):
    write_picture(tmp_path / "a.png", corner)
    (tmp_path / "a.png").rename(tmp_path / "download")
    (tmp_path / "notes").write_text("text")
    assert is_picture("anything.jpg")
    assert is_picture(tmp_path / "download")
    assert not is_picture(tmp_path / "notes")
    assert not is_picture(tmp_path)
