"""Quality measures, each with its convention named."""

from talkingface.metrics.base import ClipMetric, ClipScore, MeanMetric
from talkingface.metrics.blink import BlinkDuration, BlinkRate
from talkingface.metrics.diversity import SeedDiversity, SeedEnergyScore, energy_score, seed_diversity
from talkingface.metrics.faces import ArcFace, ArcFaceR18, ArcFaceR50, FaceDetector, FaceNet, WholeFrameArcFace
from talkingface.metrics.fan import FANLandmarks
from talkingface.metrics.functional import psnr, ssim, to_pixels
from talkingface.metrics.functional.embedding import identity_ceiling, identity_floor, mean_embedding
from talkingface.metrics.head_pose import LandmarkPose
from talkingface.metrics.identity import (
    CSIM,
    FaceNetCSIM,
    FaceNetIdentityDistance,
    FaceRate,
    IdentityDistance,
    WholeFrameCSIM,
)
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
    "CSIM",
    "PSNR",
    "SSIM",
    "AlignedFaceLMD",
    "AlignedMouthLMD",
    "ArcFace",
    "ArcFaceR18",
    "ArcFaceR50",
    "BlinkDuration",
    "BlinkRate",
    "CentredMouthLMD",
    "ClipMetric",
    "ClipScore",
    "EulerPoseDistance",
    "ExpressionDistance",
    "Extractor",
    "FANLandmarks",
    "FaceDetector",
    "FaceLMD",
    "FaceNet",
    "FaceNetCSIM",
    "FaceNetIdentityDistance",
    "FaceRate",
    "FrameMetric",
    "HeadMotion",
    "HeadMotionDelta",
    "IdentityDistance",
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
    "WholeFrameArcFace",
    "WholeFrameCSIM",
    "energy_score",
    "identity_ceiling",
    "identity_floor",
    "mean_embedding",
    "psnr",
    "read_labels",
    "seed_diversity",
    "ssim",
    "to_pixels",
]
