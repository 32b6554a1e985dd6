"""Control tracks from MediaPipe's FaceLandmarker, an optional extra."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.controls.pictures import PictureControls
from talkingface.core.errors import ConfigError
from talkingface.metrics.labels import our_rotation
from talkingface.weights import find_weights, sha256

MESH = (  # point of the 478-point mesh for each of the 68 iBUG points
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # lips, outside
    *(78, 82, 13, 312, 308, 317, 14, 87),  # lips, inside
)
MILLISECONDS = 40  # a frame


class MediaPipeControls(PictureControls):
    """Face mesh, pose and 51 blendshapes by FaceLandmarker in video mode, as ``LabelControls`` has them from files.

    Args:
        model: the file ``face_landmarker.task`` that MediaPipe publishes; ``None`` looks where networks are looked for.
    """

    coefficients = 51

    def __init__(self, *, model: str | None = None) -> None:
        super().__init__()
        self.model = model

    @property
    def file(self) -> Path:
        """Where the model is.

        Raises:
            WeightsError: when it is missing, naming the command that fetches it.
        """
        return find_weights("face-landmarker", self.model)

    def fingerprint(self) -> str:
        """See :meth:`PictureControls.fingerprint`.

        Raises:
            ConfigError: when MediaPipe is not installed.
            WeightsError: when there is no such file.
        """
        digest = sha256(self.file)
        return f"mediapipe {_mediapipe().__version__} {digest}"

    def see(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[tuple[Tensor, ...]]:
        """See :meth:`PictureControls.see`."""
        mediapipe = _mediapipe()
        vision = mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(self.file)),
            running_mode=vision.RunningMode.VIDEO,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with vision.FaceLandmarker.create_from_options(options) as landmarker:
            time = 0
            for frames in batches:
                landmarks = torch.full((len(frames), 68, 2), torch.nan)
                pose = torch.full((len(frames), 3, 3), torch.nan)
                expression = torch.full((len(frames), self.coefficients), torch.nan)
                for row, frame in enumerate(frames):
                    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
                    seen = landmarker.detect_for_video(image, time)
                    time += MILLISECONDS
                    if seen.face_landmarks:
                        mesh = seen.face_landmarks[0]
                        landmarks[row] = torch.tensor([[mesh[point].x, mesh[point].y] for point in MESH])
                        pose[row] = torch.from_numpy(seen.facial_transformation_matrixes[0][:3, :3])
                        shapes = seen.face_blendshapes[0][1:]  # the first says how neutral the face is
                        expression[row] = torch.tensor([shape.score for shape in shapes])
                yield landmarks, our_rotation(pose), expression


def _mediapipe() -> Any:
    try:
        import mediapipe
    except ImportError as error:
        raise ConfigError(f"MediaPipe cannot be imported ({error}). pip install 'talkingface[mediapipe]'") from error
    return mediapipe
