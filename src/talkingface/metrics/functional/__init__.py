"""Measures as plain functions of tensors, one file a subject, one named convention each, in float64."""

from talkingface.metrics.functional.pixels import psnr, to_pixels
from talkingface.metrics.functional.similarity import ssim

__all__ = ["psnr", "ssim", "to_pixels"]
