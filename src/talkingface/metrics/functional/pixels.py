"""Pixel errors of frames as plain functions, one named convention each, exact or in float64."""

import torch
from torch import Tensor

from talkingface.core.checks import check_finite, check_shape
from talkingface.core.errors import ShapeError
from talkingface.core.images import to_uint8

PEAK = 255.0
PSNR_CAP = 100.0  # dB; identical frames would be infinite and make every mean infinite


def to_pixels(images: Tensor, name: str = "images") -> Tensor:
    """Quantise images as a lossless file would, which is what the metrics compare.

    Args:
        images: float ``(..., 3, H, W)`` in ``[-1, 1]``; clamp what a renderer made first.
        name: what they are called in the message.

    Returns:
        uint8 ``(..., 3, H, W)`` in ``[0, 255]``, rounded to nearest.

    Raises:
        ShapeError: integer, NaN or infinite values, or values outside ``[-1, 1]``.

    >>> to_pixels(torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1)).flatten().tolist()
    [0, 128, 255]
    """
    check_shape(images, (..., 3, "H", "W"), name)
    if not images.is_floating_point():
        raise ShapeError(f"{name} is {images.dtype}, expected float in [-1, 1]; uint8 pixels need no conversion.")
    check_finite(images, name)
    low, high = images.aminmax() if images.numel() else (images.new_tensor(0.0), images.new_tensor(0.0))
    if low < -1.0 - 1e-3 or high > 1.0 + 1e-3:  # half precision rounds, a wrong range is far away
        raise ShapeError(
            f"{name} lies in [{low:.4g}, {high:.4g}], expected [-1, 1]. Clamp a rendered image with clamp(-1, 1); "
            "give pixels in [0, 255] as uint8."
        )
    return to_uint8(images).movedim(-1, -3)


def check_frames(prediction: Tensor, target: Tensor) -> None:
    """Refuse all but two stacks of RGB frames of one shape.

    Args:
        prediction: uint8 ``(T, 3, H, W)``.
        target: uint8 ``(T, 3, H, W)``.

    Raises:
        ShapeError: another type or shape, no frames, or two shapes.
    """
    for frames, name in ((prediction, "prediction"), (target, "target")):
        if frames.dtype != torch.uint8:
            raise ShapeError(
                f"{name} is {frames.dtype}, expected uint8 pixels in [0, 255]; "
                "convert images in [-1, 1] with talkingface.metrics.to_pixels."
            )
        check_shape(frames, ("T", 3, "H", "W"), name)
        if frames.numel() == 0:
            raise ShapeError(f"{name} has no pixels (shape {tuple(frames.shape)}); there is nothing to score.")
    if prediction.shape != target.shape:
        raise ShapeError(
            f"prediction has shape {tuple(prediction.shape)} and target {tuple(target.shape)}; "
            "cut both to their common frames and one size first."
        )


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum of squared pixel differences of each frame.

    Args:
        prediction: uint8 ``(T, 3, H, W)``.
        target: uint8 ``(T, 3, H, W)``.

    Returns:
        float64 ``(T,)``; exact, since all sums are whole numbers.

    Raises:
        ShapeError: see :func:`check_frames`.
    """
    check_frames(prediction, target)
    # Widened first: in uint8 difference and square wrap modulo 256 and flatter the prediction by decibels.
    pairs = zip(prediction, target, strict=True)
    return torch.stack([(ours.float() - theirs.float()).double().square_().sum() for ours, theirs in pairs])


def decibels(mean_squared_error: Tensor) -> Tensor:
    """Mean squared error of 8-bit pixels as PSNR in dB, at most :data:`PSNR_CAP`."""
    return (10.0 * torch.log10(PEAK**2 / mean_squared_error)).clamp(max=PSNR_CAP)


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame, over RGB, ``10 log10(255² / MSE)``.

    Args:
        prediction: uint8 ``(T, 3, H, W)``.
        target: uint8 ``(T, 3, H, W)``.

    Returns:
        float64 ``(T,)`` in dB. Identical frames count as 100 dB instead of infinity.

    Raises:
        ShapeError: see :func:`check_frames`.

    >>> black = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    >>> round(psnr(black, black + 10).item(), 4), psnr(black, black).item()
    (28.1308, 100.0)
    """
    return decibels(squared_error(prediction, target) / target[0].numel())


def psnr_luma(prediction: Tensor, target: Tensor) -> Tensor:
    """PSNR of the luma alone; arguments and errors as :func:`psnr`.

    Returns:
        float64 ``(T,)`` in dB; up to 5 dB above that of RGB where the error is in the colours, as codecs make it.
    """
    check_frames(prediction, target)
    pairs = zip(prediction, target, strict=True)
    return decibels(torch.stack([(luma(ours) - luma(theirs)).square().mean() for ours, theirs in pairs]))


def luma(frames: Tensor) -> Tensor:
    """Luma of RGB pixels by ITU-R BT.601, full range, not rounded.

    Args:
        frames: uint8 ``(..., 3, H, W)``.

    Returns:
        float64 ``(..., 1, H, W)`` in ``[0, 255]``.

    >>> luma(torch.full((3, 1, 1), 100, dtype=torch.uint8)).item()
    100.0
    """
    red, green, blue = frames.double().unbind(-3)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)
