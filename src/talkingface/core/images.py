"""The two forms of a picture: uint8 ``(..., H, W, 3)`` at file boundaries, float ``(..., 3, H, W)`` between parts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_image
from talkingface.core.errors import ShapeError


def to_float(frames: NDArray[np.uint8] | Tensor) -> Tensor:
    """Convert file pixels to what parts exchange.

    Args:
        frames: uint8 ``(..., H, W, 3)`` in ``[0, 255]``.

    Returns:
        float32 ``(..., 3, H, W)`` in ``[-1, 1]``, contiguous.

    Raises:
        ShapeError: when the last axis is not RGB or the type is not uint8.
    """
    tensor = torch.as_tensor(frames)
    if tensor.dtype != torch.uint8 or tensor.ndim < 3 or tensor.shape[-1] != 3:
        raise ShapeError(f"frames are {tensor.dtype} {tuple(tensor.shape)}, expected uint8 (..., H, W, 3).")
    return tensor.movedim(-1, -3).contiguous().float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Convert rendered images to file pixels; values outside ``[-1, 1]`` are clamped.

    Args:
        images: float ``(..., 3, H, W)``, nominally in ``[-1, 1]``.

    Returns:
        uint8 ``(..., H, W, 3)`` in ``[0, 255]``, rounded to nearest.
    """
    pixels = images.float().add(1.0).mul(127.5).round_().clamp_(0, 255)
    return pixels.to(torch.uint8).movedim(-3, -1).contiguous()


def resize(images: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Resize with anti-aliasing; a no-op at the wanted size.

    Args:
        images: float ``(B, C, H, W)``.
        size: side of a square, or (height, width), in pixels.

    Returns:
        ``(B, C, h, w)``.
    """
    target = (size, size) if isinstance(size, int) else size
    if tuple(images.shape[-2:]) == target:
        return images
    return functional.interpolate(images, target, mode="bilinear", align_corners=False, antialias=True)


def seen_at(image: Tensor, size: int) -> Tensor:
    """A picture at the size that a network sees; a larger one, as its renderer makes, is averaged over whole pixels.

    Args:
        image: float ``(B, 3, n * size, n * size)`` in ``[-1, 1]``, n = 1, 2, …
        size: what the network was built for, in pixels.

    Returns:
        ``(B, 3, size, size)``.

    Raises:
        ShapeError: for any other size.

    >>> seen_at(torch.zeros(1, 3, 512, 512), 256).shape
    torch.Size([1, 3, 256, 256])
    """
    times = image.shape[-1] // size
    if times > 1 and image.shape[-2:] == (times * size, times * size):
        image = functional.avg_pool2d(image, times)
    check_image(image, size=size)
    return image


def center_square(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop the largest centred square.

    Args:
        frames: ``(..., H, W, 3)``.

    Returns:
        ``(..., S, S, 3)`` with ``S = min(H, W)``; a view.
    """
    height, width = frames.shape[-3:-1]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[..., top : top + side, left : left + side, :]


def filmstrip(frames: NDArray[np.uint8], count: int = 8, height: int = 128) -> NDArray[np.uint8]:
    """Some frames of a clip beside each other, as one picture to look at.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        count: frames shown, evenly spread from the first to the last; all where there are fewer.
        height: of the strip, in pixels; frames are enlarged to it by whole pixels, never shrunk.

    Returns:
        uint8 ``(h, n w, 3)``.

    >>> filmstrip(np.zeros((25, 64, 64, 3), np.uint8), count=4).shape
    (128, 512, 3)
    """
    shown = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    times = max(1, height // frames.shape[1])
    return np.concatenate([frames[place].repeat(times, 0).repeat(times, 1) for place in shown], axis=1)
