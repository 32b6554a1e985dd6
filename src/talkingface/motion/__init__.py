"""Motion representations: picture → motion."""

from talkingface.motion.latent import LatentMotion
from talkingface.motion.lia_encoder import LIAEncoder

__all__ = ["LIAEncoder", "LatentMotion"]
