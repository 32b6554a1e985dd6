"""Motion of face-vid2vid: canonical keypoints by one network, what moves them by another (Wang et al. 2021)."""

from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.core.images import seen_at
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion.keypoint_detector import KeypointDetector
from talkingface.motion.pose_estimator import PoseEstimator

SMALLEST = 32  # pixels


class FaceVid2VidMotion(MotionEncoder):
    """Picture → 3D implicit keypoints: expression, head pose and translation, without scale.

    The open implementation has 15 keypoints, the paper 20.

    Args:
        keypoints: number of keypoints K.
        size: side of the picture in pixels, a power of two.
        width: factor on the published number of channels.
        depth: slices of the volume in which canonical keypoints are found.

    Raises:
        ConfigError: for another size.
    """

    traits = ("keypoints", "expression")

    def __init__(self, *, keypoints: int = 15, size: int = 256, width: float = 1.0, depth: int = 16) -> None:
        super().__init__()
        if size < SMALLEST or size & (size - 1):
            raise ConfigError(f"FaceVid2VidMotion takes pictures of a power of two from {SMALLEST} px on, not {size}.")
        self.spec = MotionSpec.of_keypoints("facevid2vid", keypoints)
        self.size = size
        self.detector = KeypointDetector(keypoints, size, width, depth)
        self.estimator = PoseEstimator(keypoints, width)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, size, size)`` in ``[-1, 1]`` → motion ``(N, D)``; the keypoint detector is not run."""
        return self.spec.pack(**self.estimator((seen_at(image, self.size) + 1) / 2))  # published weights want [0, 1]

    def canonical(self, image: Tensor) -> Tensor:
        """Canonical keypoints ``(N, K, 3)`` of pictures ``(N, 3, size, size)``; the estimator is not run."""
        keypoints: Tensor = self.detector((seen_at(image, self.size) + 1) / 2)
        return keypoints
