"""LivePortrait's motion extractor: canonical keypoints and their motion in one pass (Guo et al. 2024, section 3.1)."""

from torch import Tensor, nn

from talkingface.core.errors import ConfigError
from talkingface.core.geometry import LIVEPORTRAIT_BINS
from talkingface.core.images import seen_at
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.nn.angles import AngleHeads
from talkingface.motion.convnext import EPS, STRIDE, ConvNeXt
from talkingface.motion.heads import keypoint_head


class LivePortraitMotion(MotionEncoder):
    """Picture → 3D implicit keypoints: expression, head pose, translation and scale (LivePortrait; Takin-ADA).

    Args:
        keypoints: number of keypoints K.
        size: side of the picture in pixels, a multiple of 32.
        width: factor on the published number of channels.

    Raises:
        ConfigError: for another size.
    """

    traits = ("keypoints", "expression")

    def __init__(self, *, keypoints: int = 21, size: int = 256, width: float = 1.0) -> None:
        super().__init__()
        if size < STRIDE or size % STRIDE:
            raise ConfigError(f"LivePortraitMotion takes pictures of a multiple of {STRIDE} px, not {size}.")
        self.spec = MotionSpec.of_keypoints("liveportrait", keypoints)
        self.size = size
        self.trunk = ConvNeXt(width)
        channels = self.trunk.channels
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.angles = AngleHeads(channels, LIVEPORTRAIT_BINS)
        widths = {"canonical": 3 * keypoints, "expression": 3 * keypoints, "translation": 3, "scale": 1}
        heads = {name: keypoint_head(channels, count) for name, count in widths.items()}
        nn.init.uniform_(heads["canonical"].bias, -0.5, 0.5)  # a new network starts with keypoints all over the face
        nn.init.ones_(heads["scale"].bias)
        self.heads = nn.ModuleDict(heads)

    def describe(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Motion and canonical keypoints of a picture, in one pass.

        Args:
            image: ``(N, 3, size, size)`` in ``[-1, 1]``, or a whole multiple of it, as a renderer of 512 px makes.

        Returns:
            Motion ``(N, D)``, and canonical keypoints ``(N, K, 3)``.
        """
        image = seen_at(image, self.size)
        code = self.norm(self.trunk((image + 1) / 2).mean((-2, -1)))  # published weights want [0, 1]
        found = {name: head(code).float() for name, head in self.heads.items()}
        canonical = found.pop("canonical").unflatten(-1, (-1, 3))
        return self.spec.pack(pose=self.angles(code), **found), canonical

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, size, size)`` in ``[-1, 1]`` → motion ``(N, D)``."""
        return self.describe(image)[0]

    def canonical(self, image: Tensor) -> Tensor:
        """Canonical keypoints ``(N, K, 3)`` of pictures ``(N, 3, size, size)``."""
        return self.describe(image)[1]
