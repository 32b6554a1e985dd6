"""Control tracks and expression from label files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from talkingface.controls.geometry import controls_from
from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.interfaces import ControlReader
from talkingface.core.media import VideoReader
from talkingface.metrics import read_labels


class LabelControls(ControlReader):
    """Reads ``FOLDER/CLIP.npz`` for ``CLIP.mp4``, as :func:`talkingface.metrics.read_labels` describes such files.

    Args:
        folder: of the label files.
    """

    def __init__(self, *, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)

    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """See :meth:`ControlReader.read`.

        Raises:
            MediaError: a clip without labels, labels that cannot be read, or as many that are not one for each frame.
            ConfigError: for pictures that are no clip.
        """
        clip, count, aspect = clip_shape(clip, frames)
        path = self.folder / f"{clip.stem}.npz"
        labels = read_labels(path, (1, 1))
        if len(labels["pose"]) != count:
            raise MediaError(
                f"{path} labels {len(labels['pose'])} frames, but {clip} has {count} at 25 a second. "
                "Label the clip again at 25 frames a second."
            )
        found = controls_from(labels["landmarks"], labels["pose"], aspect)
        return found | {"expression": labels["expression"]}


def clip_shape(clip: Path | None, frames: NDArray[np.uint8] | None) -> tuple[Path, int, float]:
    """The clip of which a file tells, its number of frames, and its width over its height.

    Args:
        clip, frames: as :meth:`ControlReader.read` takes them.

    Raises:
        ConfigError: for pictures that are no clip.
    """
    if clip is None:
        raise ConfigError(
            "label files belong to clips, and these pictures are none. "
            "Take a reader that looks at pictures, such as landmarks or mediapipe."
        )
    if frames is not None:
        return clip, len(frames), frames.shape[2] / frames.shape[1]
    reader = VideoReader(clip)
    return clip, len(reader), reader.info.width / reader.info.height
