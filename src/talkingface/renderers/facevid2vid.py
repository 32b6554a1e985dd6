"""Face-vid2vid renderer: move a portrait's feature volume by 3-D keypoints and decode it (face-vid2vid, section 3)."""

import copy
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.images import seen_at
from talkingface.core.interfaces import MotionEncoder, Renderer
from talkingface.core.motion_spec import MotionKind
from talkingface.core.nn.volume import ConvBlock
from talkingface.core.records import RenderOutput, Source
from talkingface.renderers.appearance import AppearanceEncoder
from talkingface.renderers.dense_motion import COMPRESSED
from talkingface.renderers.fused import fuse
from talkingface.renderers.plain_decoder import PlainDecoder
from talkingface.renderers.spade_decoder import SpadeDecoder
from talkingface.renderers.warping import Warping

BRIDGE_KEYPOINTS = 15  # of a motion without keypoints of its own: as many as the open face-vid2vid has
REST_RANGE = 0.7  # of their first places
BRIDGE_STD = 0.01  # of what a unit of motion first moves them by
SMALLEST = 32  # pixels


class FaceVid2VidRenderer(Renderer):
    """Portrait and motion → picture, by face-vid2vid, LivePortrait and Takin-ADA.

    LivePortrait is 21 keypoints with ``output=512``; the open face-vid2vid is 15 keypoints, with either decoder. Motion
    that places no canonical keypoints moves learned ones by a linear bridge.

    Args:
        motion_encoder: whose motion it renders (wired in, not owned).
        size: side of the pictures that it sees, in pixels.
        output: side of the pictures that it makes: ``size``, the default, or twice that with the SPADE decoder.
        decoder: ``"spade"``, or ``"plain"`` as in the original paper.
        width: factor on the published number of channels.
        depth: slices of the feature volume.

    Raises:
        ConfigError: for an unknown decoder, a size that cannot be halved down to 2 px, or another output.
    """

    accepts: MotionKind = "keypoints"

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        /,
        *,
        size: int = 256,
        output: int | None = None,
        decoder: Literal["spade", "plain"] = "spade",
        width: float = 1.0,
        depth: int = 16,
    ) -> None:
        super().__init__()
        self.size = output or size
        self.input_size = size
        if size < SMALLEST or size & (size - 1):
            raise ConfigError(f"face-vid2vid cannot see {size} px; use a power of two from {SMALLEST} px on.")
        if decoder not in ("spade", "plain"):
            raise ConfigError(f"there is no decoder '{decoder}'; use spade or plain.")
        if self.size not in ((size, 2 * size) if decoder == "spade" else (size,)):
            raise ConfigError(
                f"the {decoder} decoder cannot make {self.size} px of {size} px; "
                + ("use output=size or output=2*size." if decoder == "spade" else "use output=size.")
            )
        self._wired = (motion_encoder,)  # in a tuple it is no submodule: its weights are not the renderer's
        spec = motion_encoder.spec
        self._places = spec.convention is not None
        keypoints = spec.num_keypoints if self._places else BRIDGE_KEYPOINTS
        if not self._places:
            self.rest = nn.Parameter(torch.empty(keypoints, 3).uniform_(-REST_RANGE, REST_RANGE))
            self.bridge = nn.Linear(spec.dim, 3 * keypoints, bias=False)
            nn.init.normal_(self.bridge.weight, std=BRIDGE_STD)
        self.encoder = AppearanceEncoder(depth, width, kernel=7 if decoder == "plain" else 3)
        self.compress = ConvBlock(3, self.encoder.channels, COMPRESSED, kernel=1)
        self.warping = Warping(keypoints, self.encoder.channels, depth, size // 4, width)
        channels = self.warping.out_channels
        self.decoder: SpadeDecoder | PlainDecoder = (
            SpadeDecoder(channels, width, self.size // size) if decoder == "spade" else PlainDecoder(channels, width)
        )

    def appearance(self, image: Tensor, motion: Tensor | None = None) -> Source:
        """Everything that depends on the portrait alone.

        Args:
            image: ``(N, 3, size, size)`` in ``[-1, 1]``, of the size that it sees or a whole multiple of it.
            motion: of the portrait, ``(N, D)``, where it is known; else it is looked for.

        Returns:
            Features are the volume ``(N, C, depth, size/4, size/4)`` and the four channels of it that dense motion is
            judged by; identity is the volume's mean over the picture, ``(N, C * depth)``.
        """
        image = seen_at(image, self.input_size)
        (encoder,) = self._wired
        seen, canonical = encoder.describe(image) if self._places else (None, None)
        if motion is None:
            motion = encoder(image) if seen is None else seen
        volume: Tensor = self.encoder(image / 2 + 0.5)
        compressed: Tensor = self.compress(volume)
        return Source((volume, compressed), volume.mean((-2, -1)).flatten(1), motion, canonical)

    def forward(self, source: Source, motion: Tensor) -> RenderOutput:
        """Render motion ``(B, D)`` on a source of one portrait or of B.

        The flow is the mean of the volume's deformation over its depth; flow and occlusion, found at a quarter of the
        size that it sees, are enlarged bilinearly.
        """
        check_shape(motion, ("B", self._wired[0].spec.dim), "motion")
        source = source.expand(motion.shape[0])
        volume, compressed = source.features
        warped = self.warping(volume, compressed, self.keypoints(source, source.motion), self.keypoints(source, motion))
        image = self.decoder(warped.features) * 2 - 1
        flow = self._enlarged(warped.field.grid[..., :2].mean(1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return RenderOutput(image, flow, self._enlarged(warped.field.occlusion))

    def fused(self, dtype: torch.dtype = torch.float32) -> Self:
        """A copy that draws the same pictures from fewer operations, for inference alone; see :mod:`~.fused`.

        Args:
            dtype: in which it warps and paints; geometry and the portrait's encoder stay float32.
        """
        (encoder,) = self._wired
        copied = copy.deepcopy(self, {id(encoder): encoder}).eval().requires_grad_(False)
        fuse(copied, dtype)
        copied.warping.to(dtype)
        copied.decoder.to(dtype)
        return copied

    def keypoints(self, source: Source, motion: Tensor) -> Tensor:
        """Where motion ``(B, D)`` puts the keypoints of a source of B portraits: ``(B, K, 3)``."""
        (encoder,) = self._wired
        with torch.autocast(motion.device.type, enabled=False):  # rounded to bfloat16 they would be off by a pixel
            if source.canonical is not None:
                placed: Tensor = encoder.spec.keypoints(motion.float(), source.canonical.float())
                return placed
            step: Tensor = self.bridge(motion.float())
            bridged: Tensor = self.rest + step.unflatten(-1, (-1, 3))
        return bridged

    def _enlarged(self, maps: Tensor) -> Tensor:
        return functional.interpolate(maps, size=(self.size, self.size), mode="bilinear", align_corners=False)
