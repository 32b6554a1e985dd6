"""The Gaussian image pyramid of the first-order-motion line."""

import torch
from torch import Tensor
from torch.nn import functional


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
