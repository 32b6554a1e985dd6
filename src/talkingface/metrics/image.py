"""Metrics of frames beside their target: PSNR, SSIM and their variants, averaged over the frames of a clip, then over
clips."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError
from talkingface.metrics.base import ClipMetric, ClipScore, MeanMetric
from talkingface.metrics.functional import pixels, similarity
from talkingface.metrics.track import ScoredClip


class FrameMetric(MeanMetric):
    """Mean over the frames of a clip beside its target, then over clips."""

    needs = ("video", "target")

    @abstractmethod
    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
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
        for values in [self.values(*pair) for pair in _clips(prediction, target)]:
            self._add(values)


class Decibels(MeanMetric):
    """Mean of a signal-to-noise ratio that is capped where nothing differs.

    Attributes:
        identical: frames that equal their target and were counted as 100 dB instead of infinity.
    """

    identical: Tensor
    unit = "dB"
    higher_is_better = True
    range = (0.0, pixels.PSNR_CAP)
    citation = "Wang et al. 2004, section II"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("identical", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> ClipScore:
        self.identical += (values >= pixels.PSNR_CAP).sum()
        return super()._add(values)


class PSNR(Decibels, FrameMetric):
    """Peak signal-to-noise ratio; see :func:`talkingface.metrics.functional.psnr`.

    >>> black = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    >>> metric = PSNR()
    >>> metric.update(black, black + 10)
    >>> round(metric.compute().item(), 4)
    28.1308
    """

    convention = "psnr/frame-mean: RGB uint8, 10·log10(255²/MSE) per frame, capped at 100 dB, mean over frames"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → dB ``(T,)``."""
        return pixels.psnr(prediction, target)


class LumaPSNR(Decibels, FrameMetric):
    """PSNR of the luma alone, as video codecs are compared; up to 5 dB above that of RGB."""

    convention = (
        "psnr/luma: Y of BT.601 full range from RGB uint8, unrounded, 10·log10(255²/MSE) per frame, capped at 100 dB, "
        "mean over frames"
    )

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → dB ``(T,)``."""
        return pixels.psnr_luma(prediction, target)


class PooledPSNR(ClipMetric):
    """PSNR of one mean squared error over all pixels of all clips, the default of torchmetrics.

    Never above the mean over frames of :class:`PSNR`, and 1 to 4 dB below it where frames differ in quality; for
    comparison with papers that pool.
    """

    error: Tensor
    samples: Tensor
    unit = "dB"
    higher_is_better = True
    range = (0.0, pixels.PSNR_CAP)
    needs = ("video", "target")
    convention = "psnr/pooled: RGB uint8, 10·log10(255²/MSE) with one MSE over all pixels, capped at 100 dB"
    citation = Decibels.citation

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add clips; see :meth:`FrameMetric.update`."""
        errors = [pixels.squared_error(*pair).sum() for pair in _clips(prediction, target)]
        self.error += torch.stack(errors).sum()
        self.samples += target.numel()

    def update_clip(self, clip: ScoredClip) -> ClipScore:
        """Add one clip; its own score pools over its frames."""
        video, target = clip["video"], clip["target"]
        self.update(video, target)
        mean = pixels.squared_error(video, target).sum() / target.numel()
        return ClipScore(float(pixels.decibels(mean)), 0, len(video))

    def compute(self) -> Tensor:
        """dB, a float64 scalar; NaN when there were no clips."""
        return pixels.decibels(self.error / self.samples)


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
        "channel mean, mean over frames"
    )
    citation = "Wang et al. 2004, equation 13"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → ``(T,)``."""
        return similarity.ssim(prediction, target)


class UniformSSIM(SSIM):
    """SSIM in the default convention of scikit-image; 0.01 to 0.07 off the Gaussian one, in either direction."""

    convention = (
        "ssim/uniform7: RGB uint8, uniform window 7×7, K 0.01/0.03, sample covariance, valid windows, channel mean, "
        "mean over frames"
    )

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → ``(T,)``."""
        return similarity.ssim(prediction, target, similarity.UNIFORM7)


class LumaSSIM(SSIM):
    """SSIM of the luma alone; 0 to 0.12 above that of RGB."""

    convention = (
        "ssim/luma: Y of BT.601 full range from RGB uint8, unrounded, Gaussian window 11×11 σ 1.5, K 0.01/0.03, "
        "population covariance, valid windows, mean over frames"
    )

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → ``(T,)``."""
        return similarity.ssim_luma(prediction, target)


class MultiscaleSSIM(SSIM):
    """SSIM over five scales; see :func:`talkingface.metrics.functional.similarity.multiscale_ssim`."""

    range = (0.0, 1.0)
    convention = (
        "ms-ssim/wang2003: RGB uint8, five scales by 2×2 means, Gaussian window 11×11 σ 1.5, K 0.01/0.03, population "
        "covariance, valid windows, negative terms 0, channel mean, mean over frames"
    )
    citation = "Wang et al. 2003, equation 7"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → ``(T,)``."""
        return similarity.multiscale_ssim(prediction, target)


def _clips(prediction: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Split one clip ``(T, 3, H, W)`` or a batch of them into pairs of clips; frames are checked later."""
    if prediction.ndim != 5:
        return [(prediction, target)]
    check_shape(target, (len(prediction), "T", 3, "H", "W"), "target")
    if len(prediction) == 0:
        raise ShapeError(f"prediction has no clips (shape {tuple(prediction.shape)}); there is nothing to score.")
    return list(zip(prediction, target, strict=True))
