"""A plain L1 loss on the Gaussian image pyramid."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.pyramid import gaussian_downsample

SCALES = (1.0, 0.5, 0.25, 0.125)


def pyramid_loss(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, summed over the pyramid: what is left of the perceptual loss without its network.

    At the coarse scales a picture that has moved too little is already better than one that has not moved, which the
    finest scale alone does not say; small models find motion much sooner with it.

    Args:
        image, target: ``(B, 3, H, W)`` in ``[-1, 1]``.

    Returns:
        Scalar, at least 0.
    """
    check_shape(target, image.shape, "target")
    levels = [
        functional.l1_loss(gaussian_downsample(image, scale), gaussian_downsample(target, scale)) for scale in SCALES
    ]
    return torch.stack(levels).sum()
