"""Denoising diffusion: how noise is added, learned and taken away again."""

from talkingface.diffusion.ddim import check_prefix, sample_ddim
from talkingface.diffusion.ddpm import NoisedMotion, standard_normal, training_pair
from talkingface.diffusion.schedule import NoiseSchedule, strided_steps

__all__ = [
    "NoiseSchedule",
    "NoisedMotion",
    "check_prefix",
    "sample_ddim",
    "standard_normal",
    "strided_steps",
    "training_pair",
]
