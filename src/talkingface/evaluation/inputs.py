"""Finding and reading clips of any system: videos, folders of pictures, and arrays."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.images import resize, to_float, to_uint8
from talkingface.core.media import VideoReader, is_picture, is_video, probe_video, read_picture

FPS = 25.0  # of everything that is scored
ARRAY = ".npy"
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".m4a")
_BATCH = 32  # frames resized together


def find_clips(root: Path) -> dict[str, list[Path]]:
    """All clips of a file or folder.

    A clip is a video, an array (``.npy``), or a folder that holds pictures. It is named by its path below the root
    without suffix, so that systems with other containers still pair.

    Args:
        root: one clip, or a folder of them.

    Returns:
        name → its files; more than one where a name is not unique.

    Raises:
        MediaError: nothing there, or no clip in it.
    """
    if not root.exists():
        raise MediaError(f"{root} does not exist.")
    if _is_clip(root):
        return {root.stem if root.is_file() else root.name: [root]}
    if root.is_file():
        raise MediaError(f"{root} is neither a video nor an array ({ARRAY}).")
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if _is_clip(path) and not any(_is_clip(parent) for parent in path.parents if parent.is_relative_to(root)):
            name = path.relative_to(root)
            found.setdefault((name if path.is_dir() else name.with_suffix("")).as_posix(), []).append(path)
    if not found:
        raise MediaError(f"{root} holds no clip: no video, no {ARRAY} file, no folder of pictures.")
    return found


def find_sounds(root: Path) -> dict[str, Path]:
    """Sounds by name, as :func:`find_clips`; a video counts by its sound track.

    Args:
        root: one file, or a folder.

    Raises:
        MediaError: nothing there.
    """
    if root.is_file():
        return {root.stem: root}
    if not root.is_dir():
        raise MediaError(f"{root} does not exist.")
    files = (path for path in sorted(root.rglob("*")) if path.suffix.lower() in SOUNDS or is_video(path))
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in files}


def output_path(path: Path) -> str:
    """What a clip's pixels went through before they are scored: ``"png"``, ``"array"``, ``"h264"`` …

    Args:
        path: as :func:`find_clips` gives it.

    Raises:
        MediaError: a video that cannot be read.
    """
    if path.is_dir():
        return "/".join(sorted({file.suffix.lower().lstrip(".") for file in _pictures(path)}))
    return "array" if path.suffix == ARRAY else probe_video(path).codec


def read_clip(path: Path, size: int | None = None) -> Tensor:
    """Decode a clip once, on the 25 fps grid.

    Args:
        path: video, array or folder of pictures; the latter two hold one frame a 25th of a second. An array is uint8
            ``(T, H, W, 3)``, or float in ``[-1, 1]``.
        size: side of the square that frames are resized to (bilinear with anti-aliasing); as they are by default.

    Returns:
        uint8 ``(T, 3, H, W)``.

    Raises:
        MediaError: a file that cannot be read, NaN or values out of range, pictures of several sizes.
    """
    if path.is_dir():
        pictures = [read_picture(file) for file in _pictures(path)]
        if len({picture.shape for picture in pictures}) > 1:
            raise MediaError(f"the pictures of {path} have several sizes")
        batches = iter([np.stack(pictures)])
        count = len(pictures)
    elif path.suffix == ARRAY:
        array = _array(path)
        batches, count = iter([array]), len(array)
    else:
        reader = VideoReader(path, FPS)
        batches, count = reader.stream(_BATCH), len(reader)
    frames: Tensor | None = None
    done = 0
    for batch in batches:
        pixels = _resized(torch.from_numpy(batch), size)
        if frames is None:  # filled in place: a clip lies in memory once
            frames = torch.empty((count, *pixels.shape[1:]), dtype=torch.uint8)
        frames[done : done + len(pixels)] = pixels
        done += len(pixels)
    if frames is None:
        raise MediaError(f"{path} holds no frame")
    return frames[:done]


def _is_clip(path: Path) -> bool:
    if path.is_dir():
        return any(_pictures(path))
    return is_video(path) or path.suffix == ARRAY


def _pictures(folder: Path) -> list[Path]:
    """Pictures in the order of the numbers in their names: frame 2 before frame 10."""

    def order(path: Path) -> list[str | int]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]

    return sorted((path for path in folder.iterdir() if is_picture(path)), key=order)


def _array(path: Path) -> NDArray[np.uint8]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise MediaError(f"{path} is not an array that can be read ({error})") from error
    if array.ndim != 4 or array.shape[-1] != 3 or not len(array):
        raise MediaError(f"{path} has shape {array.shape}, expected frames (T, H, W, 3)")
    if array.dtype == np.uint8:
        return array
    bad = ~np.isfinite(array).reshape(len(array), -1).all(1)
    if bad.any():
        raise MediaError(
            f"{path} has NaN or infinite values in {int(bad.sum())} frames, the first in {int(bad.argmax())}"
        )
    if np.abs(array).max() > 1.001:  # half precision rounds
        raise MediaError(f"{path} has float values outside [-1, 1]; save pixels of [0, 255] as uint8")
    return to_uint8(torch.from_numpy(array).movedim(-1, -3)).numpy()


def _resized(frames: Tensor, size: int | None) -> Tensor:
    if size is None or tuple(frames.shape[1:3]) == (size, size):
        return frames.movedim(-1, -3)
    if frames.shape[1] != frames.shape[2]:
        height, width = frames.shape[1:3]
        raise ShapeError(f"frames of {width}×{height} are not square and would be squeezed; crop them first")
    parts = [to_uint8(resize(to_float(part), size)) for part in frames.split(_BATCH)]
    return torch.cat(parts).movedim(-1, -3)
