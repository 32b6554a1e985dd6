"""68 landmarks as motion: the explicit representation that AniTalker compares its latent with (Table 4)."""

from collections.abc import Mapping

from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.interfaces import ControlReader
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion.explicit import ExplicitMotion

COUNT = 68  # iBUG points


class LandmarkMotion(ExplicitMotion):
    """Places of 68 points in the picture, 136-d: x and y of each in ``[-1, 1]``, x right, y down.

    They say who it is as well: cross-reenactment gives the portrait the driver's shape of face.

    Args:
        reader: finds landmarks in pictures; without one, motion can be had of labelled frames only.
    """

    labels = ("landmarks",)

    def __init__(self, *, reader: ControlReader | None = None) -> None:
        super().__init__(reader)
        self.spec = MotionSpec("vector", {"landmarks": 2 * COUNT})

    def measured(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Landmarks ``(..., 68, 2)`` as fractions of the picture → ``(..., 136)``."""
        landmarks = labels["landmarks"]
        check_shape(landmarks, (..., COUNT, 2), "landmarks")
        return (2 * landmarks - 1).flatten(-2)
