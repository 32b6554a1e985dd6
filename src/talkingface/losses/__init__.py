"""Training losses: what a task can weight by name."""

from talkingface.losses.adversarial import discriminator_loss, generator_loss
from talkingface.losses.perceptual import PerceptualLoss, VGG16Perceptual, VGG19Perceptual
from talkingface.losses.pyramid import pyramid_loss

__all__ = [
    "PerceptualLoss",
    "VGG16Perceptual",
    "VGG19Perceptual",
    "discriminator_loss",
    "generator_loss",
    "pyramid_loss",
]
