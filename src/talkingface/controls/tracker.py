"""Control tracks of a prepared set, or of a tracker of your own such as the fit of a 3DMM, from files."""

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

ARRAYS = {"landmarks": (68, 2), "pose": (3,)}  # of a frame


class TrackerControls(ControlReader):
    """Reads ``CLIP.npz`` beside ``CLIP.mp4``, or ``FOLDER/CLIP.npz``, at 25 frames a second and NaN where one was lost.

    The file holds ``landmarks`` ``(T, 68, 2)`` as fractions of the frame, ``pose`` ``(T, 3)``, yaw, pitch and roll in
    degrees of :func:`talkingface.core.geometry.rotation`, and maybe ``expression`` ``(T, E)``, the coefficients of the
    model. ``talkingface prepare --controls`` writes it so.

    Args:
        folder: of the files; ``None`` where each lies beside its clip.
    """

    def __init__(self, *, folder: str | None = None) -> None:
        super().__init__()
        self.folder = folder

    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """See :meth:`ControlReader.read`.

        Raises:
            MediaError: a clip without a file, or a file that cannot be read, lacks an array, or has one of another
                shape or length.
            ConfigError: for pictures that are no clip.
        """
        clip, count, aspect = clip_shape(clip, frames)
        path = clip.with_suffix(".npz") if self.folder is None else Path(self.folder) / f"{clip.stem}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                names = [name for name in (*ARRAYS, "expression") if name in file.files]
                found = {name: torch.from_numpy(file[name].astype(np.float32)) for name in names}
        except (OSError, ValueError, BadZipFile, EOFError) as error:
            raise MediaError(f"tracks {path} cannot be read ({error}). Give an .npz file of plain arrays.") from error
        expression = {"expression": found["expression"].shape[-1:]} if "expression" in found else {}
        for name, shape in (ARRAYS | expression).items():
            have, wanted = tuple(found[name].shape) if name in found else None, (count, *shape)
            if have != wanted:
                mend = "" if self.folder or have else " Prepare the set with --controls landmarks or mediapipe."
                raise MediaError(f"{name} in {path} is {have or 'missing'}, expected {wanted} for {clip}.{mend}")
        tracks = controls_from(found["landmarks"], rotation(found["pose"]), aspect)
        return tracks | {name: found[name] for name in expression}
