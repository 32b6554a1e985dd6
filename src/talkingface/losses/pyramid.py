"""The Gaussian image pyramid of the first-order-motion line, and a plain L1 loss on it."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape

SCALES = (1.0, 0.5, 0.25, 0.125)


def gaussian_downsample(image: Tensor, scale: float) -> Tensor:
    """One level of the pyramid: blur with ``sigma = (1/scale - 1) / 2``, then keep every ``1/scale``-th pixel.

    The kernel is ``2 round(4 sigma) + 1`` wide and zero padded, as in the first-order-motion line. It is applied one
    axis after the other, and only where a pixel is kept.

    Args:
        image: ``(B, C, H, W)``.
        scale: 1, or one over an integer.

    Returns:
        ``(B, C, H * scale, W * scale)``, rounded up.
    """
    if scale == 1.0:
        return image
    stride = round(1 / scale)
    sigma = (1 / scale - 1) / 2
    half = round(4 * sigma)
    taps = torch.arange(-half, half + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-(taps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 1, -1)
    across = functional.conv2d(image, kernel, stride=(1, stride), padding=(0, half), groups=image.shape[1])
    return functional.conv2d(across, kernel.mT, stride=(stride, 1), padding=(half, 0), groups=image.shape[1])


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
