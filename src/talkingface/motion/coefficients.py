"""Coefficients of a face model as motion: expression, head pose and place (the 3DMM of AniTalker's Table 4)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import ControlReader
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion.explicit import ExplicitMotion

NOSE_TIP, LEFT_BROW, RIGHT_BROW, CHIN = 30, 21, 22, 8  # of 68 iBUG points; the inner ends of the brows
QUARTER_TURN = 90.0  # degrees: a pose of the size of the other numbers, as linear bridges want it


class CoefficientMotion(ExplicitMotion):
    """Expression coefficients, head pose in quarter turns, place of the nose tip in ``[-1, 1]`` and size of the face.

    The paper takes EMOCA's 50 expression parameters alone, which cannot turn or move a head; pose, place and size are
    here because every tracker of such a model finds them too. Size is the distance from between the brows to the chin,
    as a fraction of the picture.

    Args:
        expression: number of coefficients E: 51 are MediaPipe's blendshapes, 16 the synthetic heads' parameters.
        reader: measures pictures; without one, motion can be had of labelled frames only.
    """

    traits = ("expression",)
    labels = ("expression", "pose", "landmarks")

    def __init__(self, *, expression: int = 51, reader: ControlReader | None = None) -> None:
        super().__init__(reader)
        self.spec = MotionSpec("vector", {"expression": expression, "pose": 3, "place": 2, "scale": 1})

    def measured(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Expression ``(..., E)``, pose ``(..., 3)`` in degrees and landmarks ``(..., 68, 2)`` → ``(..., E + 6)``.

        Raises:
            ConfigError: for another number of coefficients.
        """
        expression, landmarks = labels["expression"], labels["landmarks"]
        wanted = self.spec.slices["expression"]
        if expression.shape[-1] != wanted:
            raise ConfigError(
                f"the frames have {expression.shape[-1]} expression coefficients and CoefficientMotion takes {wanted}. "
                f"Set expression={expression.shape[-1]}, or take the labels or the reader that it was made for."
            )
        check_shape(landmarks, (..., 68, 2), "landmarks")
        brows = (landmarks[..., LEFT_BROW, :] + landmarks[..., RIGHT_BROW, :]) / 2
        return self.spec.pack(
            expression=expression,
            pose=labels["pose"] / QUARTER_TURN,
            place=2 * landmarks[..., NOSE_TIP, :] - 1,
            scale=torch.linalg.vector_norm(brows - landmarks[..., CHIN, :], dim=-1, keepdim=True),
        )
