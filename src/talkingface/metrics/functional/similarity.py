"""Structural similarity of frames as plain functions, one named window each, in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.errors import UnscorableError
from talkingface.metrics.functional.pixels import PEAK, check_frames, luma

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2; fine first
SMALLEST_MULTISCALE = 161  # pixels; the coarsest of five scales then just holds one window of 11


@dataclass(frozen=True)
class Window:
    """Weights under which means and variances are taken.

    Args:
        taps: of one axis, their sum 1; the window is their outer product.
        sample: whether variances are those of a sample, as if the window held ``n`` equal weights (``n / (n - 1)``).
    """

    taps: tuple[float, ...]
    sample: bool = False

    @property
    def covariance_scale(self) -> float:
        """Factor on variances and covariances."""
        weights = len(self.taps) ** 2
        return weights / (weights - 1) if self.sample else 1.0


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Taps of a Gaussian window, in pixels.

    >>> [round(tap, 4) for tap in gaussian_taps(3, 1.5)]
    [0.3078, 0.3844, 0.3078]
    """
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    return tuple((kernel / kernel.sum()).tolist())


WANG = Window(gaussian_taps(11, 1.5))
UNIFORM7 = Window((1 / 7,) * 7, sample=True)


def ssim(prediction: Tensor, target: Tensor, window: Window = WANG) -> Tensor:
    """Structural similarity of each frame (Wang et al. 2004, equation 13), per channel, then their mean.

    By default Gaussian window 11×11 with σ 1.5, K1 0.01, K2 0.03, population covariance, only windows that lie wholly
    inside the frame, no downsampling. The same as scikit-image with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``; with :data:`UNIFORM7` the same as its default.

    Args:
        prediction: uint8 ``(T, 3, H, W)``, at least as large as the window.
        target: uint8 ``(T, 3, H, W)``.
        window: under which means and variances are taken.

    Returns:
        float64 ``(T,)`` in ``[-1, 1]``, 1 for identical frames.

    Raises:
        ShapeError: see :func:`talkingface.metrics.functional.pixels.check_frames`.
        UnscorableError: frames smaller than the window.
    """
    check_frames(prediction, target)
    _check_size(target, len(window.taps), "SSIM")
    pairs = zip(prediction, target, strict=True)  # one frame at a time: memory does not grow with the clip
    return torch.stack([ssim_map(ours.double(), theirs.double(), window).mean() for ours, theirs in pairs])


def ssim_luma(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM of the luma alone; arguments and errors as :func:`ssim`.

    Returns:
        float64 ``(T,)`` in ``[-1, 1]``; above that of RGB by 0 to 0.12.
    """
    check_frames(prediction, target)
    _check_size(target, len(WANG.taps), "SSIM")
    pairs = zip(prediction, target, strict=True)
    return torch.stack([ssim_map(luma(ours), luma(theirs)).mean() for ours, theirs in pairs])


def multiscale_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM over five scales (Wang et al. 2003, equation 7), per channel, then their mean.

    Each scale halves the one before by the mean of 2×2 pixels. A negative contrast-structure term, which has no real
    power, counts as 0.

    Args:
        prediction: uint8 ``(T, 3, H, W)``, at least 161 pixels a side.
        target: uint8 ``(T, 3, H, W)``.

    Returns:
        float64 ``(T,)`` in ``[0, 1]``, 1 for identical frames.

    Raises:
        ShapeError: see :func:`talkingface.metrics.functional.pixels.check_frames`.
        UnscorableError: smaller frames.
    """
    check_frames(prediction, target)
    _check_size(target, SMALLEST_MULTISCALE, "MS-SSIM")
    pairs = zip(prediction, target, strict=True)
    return torch.stack([_multiscale(ours.double(), theirs.double()) for ours, theirs in pairs])


def ssim_map(prediction: Tensor, target: Tensor, window: Window = WANG, peak: float = PEAK) -> Tensor:
    """SSIM at every place where the window lies wholly inside the frame.

    Args:
        prediction: float64 planes ``(C, H, W)``.
        target: float64 planes ``(C, H, W)``.
        window: under which means and variances are taken, ``n`` taps.
        peak: span of the values, 255 for 8-bit pixels.

    Returns:
        ``(C, H - n + 1, W - n + 1)``; the first value belongs to the pixel ``n // 2`` from the top and the left.
    """
    # One plane at a time: its maps stay in the processor's cache, which is twice as fast as three at once.
    planes = zip(prediction, target, strict=True)
    maps = [luminance * structure for luminance, structure in (_terms(*pair, window, peak) for pair in planes)]
    return torch.stack(maps)


def _terms(prediction: Tensor, target: Tensor, window: Window, peak: float) -> tuple[Tensor, Tensor]:
    """Luminance term and contrast-structure term of one plane ``(H, W)``."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    # The formula needs the two variances only as a sum, so four filtered maps do instead of five.
    moments = torch.stack([prediction, target, prediction * prediction + target * target, prediction * target])
    mean_ours, mean_theirs, square, product = _filter(moments, window.taps).unbind()
    mean_square = mean_ours * mean_ours + mean_theirs * mean_theirs
    mean_product = mean_ours * mean_theirs
    variances = (square - mean_square) * window.covariance_scale
    covariance = (product - mean_product) * window.covariance_scale
    return (2 * mean_product + c1) / (mean_square + c1), (2 * covariance + c2) / (variances + c2)


def _multiscale(prediction: Tensor, target: Tensor) -> Tensor:
    """``(3, H, W)`` twice → scalar."""
    value = prediction.new_ones(len(prediction))
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:  # an odd last row or column is its own mean, as the authors' symmetric border has it
            prediction = functional.avg_pool2d(prediction, 2, ceil_mode=True)
            target = functional.avg_pool2d(target, 2, ceil_mode=True)
        terms = [_terms(*pair, WANG, PEAK) for pair in zip(prediction, target, strict=True)]
        last = scale == len(SCALE_WEIGHTS) - 1
        maps = [luminance * structure if last else structure for luminance, structure in terms]
        value = value * torch.stack(maps).mean(dim=(1, 2)).clamp(min=0) ** weight
    return value.mean()


def _filter(maps: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Filter the last two axes, keeping whole windows only: ``(..., H, W)`` → ``(..., H-n+1, W-n+1)``."""
    # Shifted sums: in float64 on a CPU ten to twenty times as fast as conv2d at 256 px.
    for axis in (-2, -1):
        length = maps.shape[axis] - len(taps) + 1
        total = maps.narrow(axis, 0, length) * taps[0]
        for shift, tap in enumerate(taps[1:], start=1):
            total.add_(maps.narrow(axis, shift, length), alpha=tap)
        maps = total
    return maps


def _check_size(frames: Tensor, side: int, measure: str) -> None:
    height, width = frames.shape[-2:]
    if min(height, width) < side:
        raise UnscorableError(f"{measure} needs frames of at least {side} pixels a side, got {height}×{width}")
