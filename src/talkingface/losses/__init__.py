"""Training losses: what a task can weight by name."""

from talkingface.losses.adversarial import discriminator_loss, generator_loss
from talkingface.losses.club import CLUB, CLUBMean, CLUBSample
from talkingface.losses.margin import AAMSoftmax, AMSoftmax, aam_logits, am_logits
from talkingface.losses.metric_learning import MetricLearning
from talkingface.losses.perceptual import PerceptualLoss, VGG16Perceptual, VGG19Perceptual
from talkingface.losses.pyramid import pyramid_loss
from talkingface.losses.triplet import TripletLoss, triplet_loss

__all__ = [
    "CLUB",
    "AAMSoftmax",
    "AMSoftmax",
    "CLUBMean",
    "CLUBSample",
    "MetricLearning",
    "PerceptualLoss",
    "TripletLoss",
    "VGG16Perceptual",
    "VGG19Perceptual",
    "aam_logits",
    "am_logits",
    "discriminator_loss",
    "generator_loss",
    "pyramid_loss",
    "triplet_loss",
]
