"""Measures as plain functions of tensors, one file a subject, one named convention each, in float64."""

from talkingface.metrics.functional.pixels import psnr, ssim, to_pixels

__all__ = ["psnr", "ssim", "to_pixels"]
