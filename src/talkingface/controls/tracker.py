"""Control tracks and expression of a tracker of your own, such as the fit of a 3DMM, from files."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.controls.geometry import controls_from
from talkingface.controls.labels import clip_shape
from talkingface.core.errors import MediaError
from talkingface.core.geometry import rotation
from talkingface.core.interfaces import ControlReader

ARRAYS = {"landmarks": (68, 2), "pose": (3,), "expression": (None,)}  # of a frame


class TrackerControls(ControlReader):
    """Reads ``FOLDER/CLIP.npz`` for ``CLIP.mp4``, at 25 frames a second and NaN where a frame was lost.

    The file holds ``landmarks`` ``(T, 68, 2)`` as fractions of the frame, ``pose`` ``(T, 3)``, yaw, pitch and roll in
    degrees of :func:`talkingface.core.geometry.rotation`, and ``expression`` ``(T, E)``, the coefficients of the model.

    Args:
        folder: of the files.
    """

    def __init__(self, *, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)

    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """See :meth:`ControlReader.read`.

        Raises:
            MediaError: a clip without a file, or a file that cannot be read, lacks an array, or has one of another
                shape or length.
            ConfigError: for pictures that are no clip.
        """
        clip, count, aspect = clip_shape(clip, frames)
        path = self.folder / f"{clip.stem}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: torch.from_numpy(file[name].astype(np.float32)) for name in ARRAYS if name in file.files}
        except (OSError, ValueError, BadZipFile, EOFError) as error:
            raise MediaError(f"tracks {path} cannot be read ({error}). Give an .npz file of plain arrays.") from error
        for name, shape in ARRAYS.items():
            have = tuple(found[name].shape) if name in found else None
            wanted = (count, *(have[-1] if have and size is None else size for size in shape))
            if have != wanted:
                raise MediaError(f"{name} in {path} is {have or 'missing'}, expected {wanted} for {clip}.")
        tracks = controls_from(found["landmarks"], rotation(found["pose"]), aspect)
        return tracks | {"expression": found["expression"]}
