"""Quality measures, each with its convention named."""

from talkingface.metrics.base import ClipMetric
from talkingface.metrics.functional import psnr, ssim, to_pixels
from talkingface.metrics.image import PSNR, SSIM, FrameMetric, PooledPSNR

__all__ = ["PSNR", "SSIM", "ClipMetric", "FrameMetric", "PooledPSNR", "psnr", "ssim", "to_pixels"]
