"""LIA renderer: warp the portrait's features coarse to fine and paint what they cannot show (LIA, section 3.3)."""

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError
from talkingface.core.geometry import base_grid, sample
from talkingface.core.interfaces import MotionEncoder, Renderer
from talkingface.core.motion_spec import MotionKind
from talkingface.core.nn import EqualConv2d, LIATrunk, lia_channels, upsample
from talkingface.core.nn.equalized import ACTIVATION_GAIN, SLOPE
from talkingface.core.records import RenderOutput, Source
from talkingface.renderers.modulated import ModulatedProjection, Style, StyledConv2d, StyledUpConv2d

# Published networks start with unit weights here, that is with flow across the whole picture, and need weeks to
# undo it. Starting near the identity warp trains in minutes; converted weights are not touched by it.
FLOW_STD = 0.01


class ToRGB(nn.Module):
    """Warped features → their share of the picture: 1x1 convolution, activation, bias; no style (unlike StyleGAN2)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, 3, 1, gain=ACTIVATION_GAIN)
        self.inner_bias = nn.Parameter(torch.zeros(3))
        self.bias = nn.Parameter(torch.zeros(3))

    def activate(self, projected: Tensor) -> Tensor:
        """Projected, masked ``(B, 3, H, W)`` → RGB ``(B, 3, H, W)``."""
        inner = projected + self.inner_bias[:, None, None] * ACTIVATION_GAIN
        return functional.leaky_relu(inner, SLOPE) + self.bias[:, None, None]


class SynthesisLevel(nn.Module):
    """One resolution: two styled convolutions, flow and mask, and the share of RGB."""

    def __init__(self, in_channels: int, out_channels: int, code_dim: int) -> None:
        super().__init__()
        self.up = StyledUpConv2d(in_channels, out_channels, code_dim)
        self.conv = StyledConv2d(out_channels, out_channels, code_dim)
        self.to_flow = ModulatedProjection(out_channels, 3, code_dim, std=FLOW_STD)
        self.to_rgb = ToRGB(out_channels)

    def style(self, latent: Tensor) -> tuple[Style, Style, Tensor]:
        """Latent ``(B, code_dim)`` → what it does to the three modulated layers."""
        return self.up.style(latent), self.conv.style(latent), self.to_flow.style(latent)


class LIARenderer(Renderer):
    """Portrait and motion → picture.

    With a latent motion it shares that encoder's trunk and holds the synthesis network only. For a representation
    without a trunk (landmarks, 3DMM, keypoints) it has its own and learns a linear bridge from motion to code space.

    Args:
        motion_encoder: whose motion it renders (wired in, not owned).
        size: side of the picture in pixels: 64, 128, 256 or 512.
        width: factor on the published number of channels.
        from_portrait: step by driving motion - portrait motion. In the published networks the step is the driving
            motion, from a code out of which the trunk has to learn to leave the portrait's own motion; small networks
            do not learn that in minutes. The difference is zero where nothing moves, from the first step on.

    Raises:
        ConfigError: when size or width do not fit the trunk that is shared.
    """

    accepts: MotionKind = "vector"

    def __init__(
        self, motion_encoder: MotionEncoder, /, *, size: int = 256, width: float = 1.0, from_portrait: bool = False
    ) -> None:
        super().__init__()
        self.from_portrait = from_portrait
        table = lia_channels(size, width)
        self.size = size
        self._wired = (motion_encoder,)  # in a tuple it is no submodule: its weights are not the renderer's
        shared = motion_encoder.image_encoder
        if shared is None:
            code_dim = table[4]
            self.trunk = LIATrunk(size, width)
            self.to_code = EqualConv2d(table[4], code_dim, 4)
            self.bridge = nn.Linear(motion_encoder.spec.dim, code_dim, bias=False)
        else:
            code_dim = shared.code_dim
            if shared.size != size:
                raise ConfigError(
                    f"the motion encoder sees pictures of {shared.size} px and the renderer makes {size} px; "
                    "give both the same size."
                )
            wanted = tuple(count for resolution, count in table.items() if resolution >= 8)
            if shared.channels != wanted:
                raise ConfigError(
                    f"the motion encoder's maps have {shared.channels} channels and the renderer of width {width} "
                    f"wants {wanted}; give both the same width."
                )
        counts = list(table.values())
        self.constant = nn.Parameter(torch.randn(1, counts[0], 4, 4).contiguous(memory_format=torch.channels_last))
        self.first = StyledConv2d(counts[0], counts[0], code_dim)
        self.levels = nn.ModuleList(
            SynthesisLevel(coarse, fine, code_dim) for coarse, fine in itertools.pairwise(counts)
        )

    def appearance(self, image: Tensor, motion: Tensor | None = None) -> Source:
        """``(N, 3, size, size)`` in ``[-1, 1]`` → features, code and motion of the portrait, in one pass of the trunk.

        The finest map comes already projected to RGB ``(N, 3, size, size)``: only its picture is used, and the
        projection commutes with warping, so 3 channels are warped per frame instead of 64.
        """
        (encoder,) = self._wired
        if encoder.image_encoder is None:
            maps = self.trunk(image)
            code, pyramid = self.to_code(maps[-1]).flatten(1), tuple(maps[-2::-1])
            motion = encoder(image) if motion is None else motion
        else:
            seen = encoder.image_encoder(image)
            code, pyramid = seen.code, seen.pyramid
            motion = encoder.motion_of(seen) if motion is None else motion
        finest = cast(SynthesisLevel, self.levels[-1]).to_rgb.conv(pyramid[-1])
        return Source((*pyramid[:-1], finest), code, motion)

    def forward(self, source: Source, motion: Tensor) -> RenderOutput:
        """Render motion ``(B, D)`` on a source of one portrait or of B.

        ``motion_target - motion_start + motion_source`` in place of the motion is LIA's relative driving.
        """
        check_shape(motion, ("B", self._wired[0].spec.dim), "motion")
        source = source.expand(motion.shape[0])
        levels = [cast(SynthesisLevel, level) for level in self.levels]
        with torch.autocast(motion.device.type, enabled=False):  # tiny, and all later precision hangs on it
            step = motion.float() - source.motion.float() if self.from_portrait else motion.float()
            latent = source.identity.float() + self._displacement(step)
            first = self.first.style(latent)
            styles = [level.style(latent) for level in levels]
        hidden = self.first(self.constant.repeat(motion.shape[0], 1, 1, 1), first)
        flow = rgb = None
        for level, features, (up, conv, to_flow) in zip(levels, source.features, styles, strict=True):
            hidden = level.conv(level.up(hidden, up), conv)
            # Flow, mask and picture are sums over the levels: float32 even under autocast.
            flow = _add(level.to_flow(hidden, to_flow).float(), flow)
            grid = base_grid(features.shape[2], features.shape[3], flow) + flow[:, :2].tanh().permute(0, 2, 3, 1)
            mask = flow[:, 2:].sigmoid()
            warped = sample(features.float(), grid).contiguous(memory_format=torch.channels_last)
            finest = level is levels[-1]
            projected = warped if finest else level.to_rgb.conv(warped)
            rgb = _add(level.to_rgb.activate(projected * mask).float(), rgb)
            if not finest:
                hidden = torch.lerp(hidden.float(), warped, mask)  # warped where the mask is 1, painted where it is 0
        assert rgb is not None
        return RenderOutput(rgb, grid, mask)

    def _displacement(self, motion: Tensor) -> Tensor:
        (encoder,) = self._wired
        step = self.bridge(motion) if encoder.image_encoder is None else encoder.displacement(motion)
        assert step is not None, "a motion encoder with a trunk moves in its code space"
        return cast(Tensor, step)


def _add(step: Tensor, coarser: Tensor | None) -> Tensor:
    """One level of a pyramid on top of the next coarser one."""
    return step if coarser is None else step + upsample(coarser)
