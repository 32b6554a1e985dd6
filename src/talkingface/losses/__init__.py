"""Training losses: what a task can weight by name."""

from talkingface.losses.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from talkingface.losses.close_up import mouth_loss
from talkingface.losses.club import CLUB, CLUBMean, CLUBSample
from talkingface.losses.equivariance import Warp, equivariance_loss
from talkingface.losses.head_pose import Hopenet, head_pose_loss
from talkingface.losses.keypoints import canonical_loss, deformation_prior, keypoint_prior
from talkingface.losses.landmarks import LandmarkGuide
from talkingface.losses.margin import AAMSoftmax, AMSoftmax, aam_logits, am_logits
from talkingface.losses.metric_learning import MetricLearning
from talkingface.losses.mouth import cut, face_boxes, lip_boxes, mouth_boxes, mouth_mask
from talkingface.losses.perceptual import PerceptualLoss, VGG16Perceptual, VGG19Perceptual
from talkingface.losses.pyramid import pyramid_loss
from talkingface.losses.sync import LipSyncLoss, sync_loss
from talkingface.losses.sync_expert import SyncExpert, agreement
from talkingface.losses.triplet import TripletLoss, triplet_loss

__all__ = [
    "CLUB",
    "AAMSoftmax",
    "AMSoftmax",
    "CLUBMean",
    "CLUBSample",
    "Hopenet",
    "LandmarkGuide",
    "LipSyncLoss",
    "MetricLearning",
    "PerceptualLoss",
    "SyncExpert",
    "TripletLoss",
    "VGG16Perceptual",
    "VGG19Perceptual",
    "Warp",
    "aam_logits",
    "agreement",
    "am_logits",
    "canonical_loss",
    "cut",
    "deformation_prior",
    "discriminator_loss",
    "equivariance_loss",
    "face_boxes",
    "feature_matching_loss",
    "generator_loss",
    "head_pose_loss",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "keypoint_prior",
    "lip_boxes",
    "mouth_boxes",
    "mouth_loss",
    "mouth_mask",
    "pyramid_loss",
    "sync_loss",
    "triplet_loss",
]
