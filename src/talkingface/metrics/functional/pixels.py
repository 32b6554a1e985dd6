"""PSNR and SSIM of frames as plain functions, one named convention each, in float64."""

import torch
from torch import Tensor

from talkingface.core.checks import check_finite, check_shape
from talkingface.core.errors import ShapeError
from talkingface.core.images import to_uint8

PEAK = 255.0
PSNR_CAP = 100.0  # dB; identical frames would be infinite and make every mean infinite

SSIM_WINDOW = 11  # pixels
SSIM_SIGMA = 1.5  # pixels
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2


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
    sums = [(ours.int() - theirs.int()).square_().sum(dtype=torch.int64) for ours, theirs in pairs]
    return torch.stack(sums).double()


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


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each frame (Wang et al. 2004, equation 13), per channel, then their mean.

    Gaussian window 11×11 with σ 1.5, K1 0.01, K2 0.03, population covariance, only windows that lie wholly inside the
    frame, no downsampling. The same as scikit-image with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``.

    Args:
        prediction: uint8 ``(T, 3, H, W)``, at least 11 pixels a side.
        target: uint8 ``(T, 3, H, W)``.

    Returns:
        float64 ``(T,)`` in ``[-1, 1]``, 1 for identical frames.

    Raises:
        ShapeError: see :func:`check_frames`; frames smaller than the window.
    """
    check_frames(prediction, target)
    if min(target.shape[-2:]) < SSIM_WINDOW:
        height, width = target.shape[-2:]
        raise ShapeError(f"SSIM needs frames of at least {SSIM_WINDOW} pixels a side, got {height}×{width}.")
    # One frame at a time: memory does not grow with the clip.
    return torch.stack([_frame_ssim(ours, theirs) for ours, theirs in zip(prediction, target, strict=True)])


def _frame_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    ours, theirs = prediction.double(), target.double()
    # The formula needs the two variances only as a sum, so four filtered maps do instead of five.
    moments = torch.stack([ours, theirs, ours * ours + theirs * theirs, ours * theirs])
    mean_ours, mean_theirs, square, product = _gaussian_filter(moments).unbind()
    mean_square = mean_ours * mean_ours + mean_theirs * mean_theirs
    mean_product = mean_ours * mean_theirs
    luminance = (2 * mean_product + SSIM_C1) / (mean_square + SSIM_C1)
    structure = (2 * (product - mean_product) + SSIM_C2) / (square - mean_square + SSIM_C2)
    return (luminance * structure).mean()


def _gaussian_filter(maps: Tensor) -> Tensor:
    """Filter the last two axes, keeping whole windows only: ``(..., H, W)`` → ``(..., H-10, W-10)``."""
    offsets = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    kernel = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    taps: list[float] = (kernel / kernel.sum()).tolist()
    # Shifted sums: in float64 on a CPU ten to twenty times as fast as conv2d at 256 px.
    for axis in (-2, -1):
        length = maps.shape[axis] - SSIM_WINDOW + 1
        total = maps.narrow(axis, 0, length) * taps[0]
        for shift, tap in enumerate(taps[1:], start=1):
            total.add_(maps.narrow(axis, shift, length), alpha=tap)
        maps = total
    return maps
