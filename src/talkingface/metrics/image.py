"""Metrics of frames beside their target: PSNR and SSIM, averaged over the frames of a clip, then over clips."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError
from talkingface.metrics import functional
from talkingface.metrics.base import ClipMetric


class FrameMetric(ClipMetric):
    """Mean over the frames of a clip, then over clips, so that a long clip weighs no more than a short one.

    Sums and counts are the only states: any split of the clips over processes and batches gives the same value, and
    memory does not grow.
    """

    total: Tensor
    clips: Tensor
    needs = ("target",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @abstractmethod
    def frame_values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → float64 ``(T,)``."""

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add clips.

        Args:
            prediction: uint8, one clip ``(T, 3, H, W)`` or clips of one length ``(B, T, 3, H, W)``; independent
                images are clips of one frame, ``images[:, None]``.
            target: the same shape.

        Raises:
            ShapeError: wrong type or shape; nothing has been added then.
        """
        values = [self.frame_values(*pair).mean() for pair in _clips(prediction, target)]
        self.total += torch.stack(values).sum()
        self.clips += len(values)

    def compute(self) -> Tensor:
        """Mean over clips, a float64 scalar; NaN when there were none."""
        return self.total / self.clips


class PSNR(FrameMetric):
    """Peak signal-to-noise ratio; see :func:`talkingface.metrics.functional.psnr`.

    Attributes:
        identical: frames that equal their target and were counted as 100 dB instead of infinity.

    >>> black = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    >>> metric = PSNR()
    >>> metric.update(black, black + 10)
    >>> round(metric.compute().item(), 4)
    28.1308
    """

    identical: Tensor
    unit = "dB"
    higher_is_better = True
    range = (0.0, functional.PSNR_CAP)
    convention = "psnr/frame-mean: RGB uint8, 10·log10(255²/MSE) per frame, capped at 100 dB, frame → clip → data set"
    citation = "Wang et al. 2004, section II"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("identical", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def frame_values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → dB ``(T,)``."""
        return functional.psnr(prediction, target)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add clips; see :meth:`FrameMetric.update`."""
        super().update(prediction, target)
        self.identical += (prediction == target).flatten(-3).all(-1).sum()


class PooledPSNR(ClipMetric):
    """PSNR of one mean squared error over all pixels of all clips, the default of torchmetrics.

    Never above the mean over frames of :class:`PSNR`, and 1 to 4 dB below it where frames differ in quality; for
    comparison with papers that pool.
    """

    error: Tensor
    pixels: Tensor
    unit = "dB"
    higher_is_better = True
    range = (0.0, functional.PSNR_CAP)
    needs = ("target",)
    convention = "psnr/pooled: RGB uint8, 10·log10(255²/MSE) with one MSE over all pixels, capped at 100 dB"
    citation = PSNR.citation

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add clips; see :meth:`FrameMetric.update`."""
        errors = [functional.squared_error(*pair).sum() for pair in _clips(prediction, target)]
        self.error += torch.stack(errors).sum()
        self.pixels += target.numel()

    def compute(self) -> Tensor:
        """dB, a float64 scalar; NaN when there were no clips."""
        return functional.decibels(self.error / self.pixels)


class SSIM(FrameMetric):
    """Structural similarity as its authors defined it; see :func:`talkingface.metrics.functional.ssim`.

    >>> grey = torch.full((2, 3, 16, 16), 100, dtype=torch.uint8)
    >>> metric = SSIM()
    >>> metric.update(grey, grey)
    >>> metric.compute().item()
    1.0
    """

    unit = ""
    higher_is_better = True
    range = (-1.0, 1.0)
    convention = (
        "ssim/wang2004: RGB uint8, Gaussian window 11×11 σ 1.5, K 0.01/0.03, population covariance, valid windows, "
        "channel mean, frame → clip → data set"
    )
    citation = "Wang et al. 2004, equation 13"

    def frame_values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → ``(T,)``."""
        return functional.ssim(prediction, target)


def _clips(prediction: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Split one clip ``(T, 3, H, W)`` or a batch of them into pairs of clips; frames are checked later."""
    if prediction.ndim != 5:
        return [(prediction, target)]
    check_shape(target, (len(prediction), "T", 3, "H", "W"), "target")
    if len(prediction) == 0:
        raise ShapeError(f"prediction has no clips (shape {tuple(prediction.shape)}); there is nothing to score.")
    return list(zip(prediction, target, strict=True))
