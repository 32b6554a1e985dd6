"""Whether the border of an animated square shows in the full picture, as a number."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from talkingface.pipelines.upright import Square

BESIDE = 8  # pixels on either side, whose own gradient is the yardstick


def border_contrast(picture: NDArray[np.uint8], square: Square) -> float:
    """How much more a picture changes across the border of a square than beside it.

    The mean absolute difference of neighbouring pixels across the border, over the mean of those up to 8 px before and
    behind it, in the same direction. An untouched picture has about 1; an edge that shows has more.

    Args:
        picture: RGB ``(H, W, 3)`` with the square pasted in.
        square: where.

    Returns:
        At least 0; 1 where no side of the square lies in the picture, so that there is no border, or nothing differs.
    """
    height, width = picture.shape[:2]
    count = max(2, round(square.side))
    along = (torch.arange(count) + 0.5) / count
    outwards = (torch.arange(-BESIDE, BESIDE) + 0.5) / square.side  # pixel centres on either side of the border
    pixels = torch.as_tensor(np.ascontiguousarray(picture)).movedim(-1, 0)[None].float()
    across_border, beside = [], []
    for places in _sides(square, along, outwards):
        inside = ((places >= 0.5) & (places <= places.new_tensor([width, height]) - 0.5)).all(-1).all(1)
        grid = 2 * places[inside] / places.new_tensor([width, height]) - 1
        seen = functional.grid_sample(pixels, grid[None].float(), align_corners=False)[0]  # (3, n, 2 * BESIDE)
        steps = seen.diff(dim=-1).abs().mean(0)
        across_border.append(steps[:, BESIDE - 1])
        beside.append(torch.cat((steps[:, : BESIDE - 1], steps[:, BESIDE:]), -1).flatten())
    steps_across, steps_beside = torch.cat(across_border), torch.cat(beside)
    if not len(steps_across) or not (steps_across.any() or steps_beside.any()):
        return 1.0
    return float(steps_across.mean() / steps_beside.mean())


def _sides(square: Square, along: Tensor, outwards: Tensor) -> list[Tensor]:
    """Places ``(n, m, 2)`` along and across each of the four sides, from inside to outside."""
    line, step = torch.meshgrid(along, outwards, indexing="ij")
    pairs = ((line, -step), (line, 1 + step), (-step, line), (1 + step, line))
    return [square.places(across, down) for across, down in pairs]
