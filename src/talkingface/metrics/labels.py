"""Landmarks, expression and pose from label files, for tracks whose features need no network."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from talkingface.core.errors import MediaError

SHAPES = {"landmarks": ("T", 68, 2), "blendshapes": ("T", 52), "pose": ("T", 3, 4), "valid": ("T",)}
_NEUTRAL = 0  # the first blendshape says how neutral the face is; it is no coefficient
_AXES = torch.tensor([1.0, -1.0, -1.0])  # theirs: y up, z toward the camera; ours: y down, z into the screen


def read_labels(path: str | Path, size: tuple[int, int]) -> dict[str, Tensor]:
    """Read what MediaPipe's FaceLandmarker saw in a clip, in this project's conventions.

    Args:
        path: ``.npz`` with ``landmarks`` (T, 68, 2) as fractions of the frame, ``blendshapes`` (T, 52) whose first is
            ``_neutral``, ``pose`` (T, 3, 4) with MediaPipe's scale and axes, ``valid`` (T,).
        size: height and width of the frames in pixels.

    Returns:
        ``landmarks`` (T, 68, 2) in pixels, ``expression`` (T, 51), ``pose`` rotation matrices (T, 3, 3) of
        :func:`talkingface.core.geometry.rotation`'s convention; float32, NaN where ``valid`` is false. Give them to
        :class:`talkingface.metrics.Track` as ``known``.

    Raises:
        MediaError: a missing or unreadable file, a missing array, or one of another shape or length.
    """
    arrays = _read(Path(path))
    height, width = size
    landmarks = arrays["landmarks"] * torch.tensor([width, height], dtype=torch.float32)
    pose = our_rotation(arrays["pose"][:, :, :3])
    features = {"landmarks": landmarks, "expression": arrays["blendshapes"][:, _NEUTRAL + 1 :], "pose": pose}
    for feature in features.values():
        feature[arrays["valid"] == 0] = torch.nan
    return features


def our_rotation(matrices: Tensor) -> Tensor:
    """MediaPipe's head rotations with their scale, ``(T, 3, 3)``, as :func:`talkingface.core.geometry.rotation`."""
    rotation: Tensor = matrices / matrices.norm(dim=1, keepdim=True)
    return _AXES[:, None] * rotation * _AXES


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in SHAPES if name in file.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise MediaError(f"the labels {path} cannot be read ({error}). Give an .npz file of plain arrays.") from error
    missing = [name for name in SHAPES if name not in arrays]
    if missing:
        raise MediaError(f"the labels {path} have no {', '.join(missing)}; they need {', '.join(SHAPES)}.")
    frames = len(np.atleast_1d(arrays["valid"]))
    for name, shape in SHAPES.items():
        wanted = (frames, *shape[1:])
        if arrays[name].shape != wanted:
            raise MediaError(f"{name} in {path} has shape {arrays[name].shape}, expected {wanted} for {frames} frames.")
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
