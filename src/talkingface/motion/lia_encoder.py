"""Image encoder of LIA and AniTalker's stage 1: a residual trunk, with or without hierarchical aggregation."""

from torch import Tensor

from talkingface.core.interfaces import ImageCode, ImageEncoder
from talkingface.core.nn import EqualConv2d, LIATrunk
from talkingface.motion.hal import HierarchicalAggregation


class LIAEncoder(ImageEncoder):
    """Picture → code h and feature pyramid (LIA section 3.1; AniTalker section 3.2).

    Args:
        size: side of the picture in pixels: 64, 128, 256 or 512.
        width: factor on the published number of channels.
        code_dim: width of the code.
        hal: aggregate all stages into the code (AniTalker) instead of taking the last one (LIA).

    Raises:
        ConfigError: for another size.
    """

    def __init__(self, *, size: int = 256, width: float = 1.0, code_dim: int = 512, hal: bool = False) -> None:
        super().__init__()
        self.size = size
        self.code_dim = code_dim
        self.trunk = LIATrunk(size, width)
        table = self.trunk.channels
        self.channels = tuple(count for resolution, count in table.items() if resolution >= 8)
        self.to_code = EqualConv2d(table[4], code_dim, 4)
        self.hal = HierarchicalAggregation([*list(table.values())[::-1], code_dim], code_dim) if hal else None

    def forward(self, image: Tensor) -> ImageCode:
        """``(B, 3, size, size)`` in ``[-1, 1]`` → code ``(B, code_dim)`` and maps of 8 px … size, coarse first."""
        maps = self.trunk(image)
        deepest = self.to_code(maps[-1])
        code = deepest.flatten(1) if self.hal is None else self.hal([*maps, deepest])
        return ImageCode(code, tuple(maps[-2::-1]))  # the 4 px map stays inside: no renderer warps it
