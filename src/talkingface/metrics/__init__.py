"""Quality measures, each with its convention named."""

from talkingface.metrics.base import ClipMetric, ClipScore, MeanMetric
from talkingface.metrics.functional import psnr, ssim, to_pixels
from talkingface.metrics.image import PSNR, SSIM, FrameMetric, PooledPSNR
from talkingface.metrics.track import Extractor, ScoredClip, Track

__all__ = [
    "PSNR",
    "SSIM",
    "ClipMetric",
    "ClipScore",
    "Extractor",
    "FrameMetric",
    "MeanMetric",
    "PooledPSNR",
    "ScoredClip",
    "Track",
    "psnr",
    "ssim",
    "to_pixels",
]
