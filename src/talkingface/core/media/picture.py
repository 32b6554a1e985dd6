"""Pictures: whatever a phone or a browser saves becomes upright 8-bit RGB."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.files import atomic_file
from talkingface.core.media.paths import check_suffix, input_file, writing

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif")
_WRITABLE = (".png", ".jpg", ".jpeg", ".webp")
_SAVE_OPTIONS: dict[str, dict[str, int | bool]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}

# Cut-out portraits are made for a white page, and every viewer shows them so; their half-transparent
# borders were blended towards white, and dark hair would drown in black.
BACKGROUND = (255, 255, 255)


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        mend = "Export it as JPEG or PNG"
        if path.suffix.lower() in (".heic", ".heif"):
            mend = "HEIC is not read here; export it as JPEG (on an iPhone: Camera, Formats, Most Compatible)"
        raise MediaError(f"{path} is not a picture that can be read. {mend}.") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path} has too many pixels ({error}). Make it smaller.") from error


def over_background(picture: Image.Image) -> Image.Image:
    """Compose transparency over white and return 8-bit RGB.

    Args:
        picture: any mode of Pillow; 16-bit grey keeps its high byte.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep_grey(picture)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        page = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
        return Image.alpha_composite(page, layer).convert("RGB")
    return picture.convert("RGB")


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """Scale grey of 16 bits, 32 bits or floating point; Pillow's own conversion clips at 255."""
    values = np.asarray(picture, dtype=np.float64)
    # Pillow opens 16-bit grey as "I;16" or "I"; floating point grey is in [0, 1] by custom.
    top = 1.0 if picture.mode == "F" else 65535.0
    grey = np.clip(np.round(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def read_picture(path: str | Path, min_size: int = 16) -> NDArray[np.uint8]:
    """Read one picture upright.

    The EXIF orientation is applied, transparency is composed over white (:data:`BACKGROUND`), grey of 16 bits is
    scaled to 8, and of an animated file the first frame is taken.

    Args:
        path: png, jpg, webp, gif, bmp, tiff or avif.
        min_size: least height and width, in pixels; less cannot show a face.

    Returns:
        RGB ``(H, W, 3)``.

    Raises:
        MediaError: a missing, empty, cut-off or too small file, or one that is no picture.
    """
    path = input_file(path)
    with _opened(path) as picture:
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            pixels = np.array(over_background(upright))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            # Pillow tells a cut-off or damaged file by any of these, depending on the format.
            raise MediaError(f"{path} is damaged or cut off ({error}). Copy or export it again.") from error
    height, width = pixels.shape[:2]
    if min(height, width) < min_size:
        raise MediaError(
            f"{path} is too small ({width}×{height} pixels, at least {min_size}×{min_size} are needed). "
            "Give a larger picture."
        )
    return pixels


def write_picture(path: str | Path, picture: NDArray[np.uint8]) -> None:
    """Write one picture, whole or not at all; png and webp are lossless, jpg has quality 95 without subsampling.

    Args:
        path: the file to make; its suffix names the format (png, jpg, webp).
        picture: RGB uint8 ``(H, W, 3)``.

    Raises:
        MediaError: an unknown suffix, a full disk.
        ShapeError: something else than uint8 ``(H, W, 3)``.
    """
    path = Path(path)
    check_suffix(path, _WRITABLE)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ShapeError(f"picture is {picture.dtype} {picture.shape}, expected uint8 (H, W, 3).")
    suffix = ".jpg" if path.suffix.lower() == ".jpeg" else path.suffix.lower()
    with writing(path), atomic_file(path) as part:
        Image.fromarray(np.ascontiguousarray(picture)).save(
            part, format=None, params=None, **_SAVE_OPTIONS.get(suffix, {})
        )


def is_picture(path: str | Path) -> bool:
    """Whether a file is a still picture: by its suffix where that is known, else by its content.

    Args:
        path: the file; a gif counts as a picture when it has one frame.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        with _opened(input_file(path)) as picture:
            return int(getattr(picture, "n_frames", 1)) == 1
    except (MediaError, OSError, SyntaxError, ValueError):
        return False
