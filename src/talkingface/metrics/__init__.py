"""Quality measures, each with its convention named."""

from talkingface.metrics.base import ClipMetric, ClipScore, MeanMetric
from talkingface.metrics.blink import BlinkDuration, BlinkRate
from talkingface.metrics.diversity import SeedDiversity, SeedEnergyScore, energy_score, seed_diversity
from talkingface.metrics.fan import FANLandmarks
from talkingface.metrics.functional import psnr, ssim, to_pixels
from talkingface.metrics.head_pose import LandmarkPose
from talkingface.metrics.image import PSNR, SSIM, FrameMetric, PooledPSNR
from talkingface.metrics.labels import read_labels
from talkingface.metrics.landmarks import (
    AKD,
    AlignedFaceLMD,
    AlignedMouthLMD,
    CentredMouthLMD,
    FaceLMD,
    LandmarkMetric,
    MissingFaces,
    MouthLMD,
    RelativeFaceLMD,
    RelativeMouthLMD,
    SummedMouthLMD,
)
from talkingface.metrics.motion import (
    EulerPoseDistance,
    ExpressionDistance,
    HeadMotion,
    HeadMotionDelta,
    Jitter,
    PoseDistance,
    RawJitter,
)
from talkingface.metrics.speech import LipLoudness, SilentLips
from talkingface.metrics.speed import Speed, SpeedMeter
from talkingface.metrics.track import Extractor, ScoredClip, Track

__all__ = [
    "AKD",
    "PSNR",
    "SSIM",
    "AlignedFaceLMD",
    "AlignedMouthLMD",
    "BlinkDuration",
    "BlinkRate",
    "CentredMouthLMD",
    "ClipMetric",
    "ClipScore",
    "EulerPoseDistance",
    "ExpressionDistance",
    "Extractor",
    "FANLandmarks",
    "FaceLMD",
    "FrameMetric",
    "HeadMotion",
    "HeadMotionDelta",
    "Jitter",
    "LandmarkMetric",
    "LandmarkPose",
    "LipLoudness",
    "MeanMetric",
    "MissingFaces",
    "MouthLMD",
    "PooledPSNR",
    "PoseDistance",
    "RawJitter",
    "RelativeFaceLMD",
    "RelativeMouthLMD",
    "ScoredClip",
    "SeedDiversity",
    "SeedEnergyScore",
    "SilentLips",
    "Speed",
    "SpeedMeter",
    "SummedMouthLMD",
    "Track",
    "energy_score",
    "psnr",
    "read_labels",
    "seed_diversity",
    "ssim",
    "to_pixels",
]
