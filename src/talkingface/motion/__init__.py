"""Motion representations: picture → motion."""

from talkingface.motion.coefficients import CoefficientMotion
from talkingface.motion.facevid2vid import FaceVid2VidMotion
from talkingface.motion.landmarks import LandmarkMotion
from talkingface.motion.latent import LatentMotion
from talkingface.motion.lia_encoder import LIAEncoder
from talkingface.motion.liveportrait import LivePortraitMotion
from talkingface.motion.stitching import Retargeting

__all__ = [
    "CoefficientMotion",
    "FaceVid2VidMotion",
    "LIAEncoder",
    "LandmarkMotion",
    "LatentMotion",
    "LivePortraitMotion",
    "Retargeting",
]
