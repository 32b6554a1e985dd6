"""Equivariance of keypoints: warp the picture, and its keypoints must move with it (first-order motion, section 3.1).

The warp is an affine map and a thin-plate spline, drawn at random. A warped picture shows at ``x`` what the picture
shows at ``T(x)``, so a point that is found at ``x`` in the warped picture belongs at ``T(x)`` in the picture itself.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.geometry import base_grid

SIDE = 5  # control points of the spline along each axis
AFFINE_STD = 0.05
SPLINE_STD = 0.005


@dataclass(frozen=True)
class Warp:
    """A smooth map T of the picture plane, one for each picture of a batch.

    ``T(x) = A x + b + sum_k w_k r_k² log(r_k + 1e-6)``, where ``r_k`` is the L1 distance to the k-th of 5 by 5 control
    points and both axes share the weights, as in all code of the first-order-motion line.

    Args:
        affine: ``A`` and ``b`` side by side, ``(B, 2, 3)``.
        spline: the weights w, row by row, ``(B, 25)``.
    """

    affine: Tensor
    spline: Tensor

    @classmethod
    def draw(cls, like: Tensor, generator: Generator) -> Self:
        """A mild random warp for each picture.

        Args:
            like: the pictures ``(B, 3, H, W)``, whose device and type to take.
            generator: makes the draws, on its own device.
        """
        batch = len(like)
        noise = torch.randn(batch, 2, 3, generator=generator, device=generator.device)
        weights = torch.randn(batch, SIDE**2, generator=generator, device=generator.device)
        affine = torch.eye(2, 3, device=generator.device) + AFFINE_STD * noise
        return cls(affine.to(like), (SPLINE_STD * weights).to(like))

    def points(self, points: Tensor) -> Tensor:
        """``T`` of points ``(B, n, 2)``, x then y in ``[-1, 1]`` → ``(B, n, 2)``."""
        check_shape(points, (len(self.affine), "n", 2), "points")
        control = base_grid(SIDE, SIDE, points).view(1, 1, -1, 2)
        distance = (points.unsqueeze(2) - control).abs().sum(-1)
        bend = (distance.square() * (distance + 1e-6).log() @ self.spline.unsqueeze(-1)).expand(-1, -1, 2)
        return points @ self.affine[:, :, :2].mT + self.affine[:, None, :, 2] + bend

    def image(self, image: Tensor) -> Tensor:
        """Warped pictures ``(B, C, H, W)``; beyond the border the picture is mirrored."""
        height, width = image.shape[-2:]
        grid = base_grid(height, width, image).flatten(1, 2).expand(len(image), -1, -1)
        places = self.points(grid).unflatten(1, (height, width))
        return functional.grid_sample(image, places, padding_mode="reflection", align_corners=False)


def equivariance_loss(points: Tensor, points_of_warped: Tensor, warp: Warp) -> Tensor:
    """Mean L1 distance between keypoints and what the warped picture says about them (face-vid2vid, appendix A.2).

    Args:
        points: keypoints of the picture ``(B, K, 3)`` or ``(B, K, 2)``; only x and y count.
        points_of_warped: keypoints of the warped picture, of the same shape.
        warp: what was done to the picture.

    Returns:
        Scalar, at least 0; 0.01 is half a per cent of the picture's side.
    """
    check_shape(points_of_warped, points.shape, "points_of_warped")
    return functional.l1_loss(warp.points(points_of_warped[..., :2]), points[..., :2])
