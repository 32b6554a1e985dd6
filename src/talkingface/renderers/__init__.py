"""Renderers: portrait and motion → picture, and the discriminators that judge them."""

from talkingface.renderers.discriminator import LIADiscriminator
from talkingface.renderers.facevid2vid import FaceVid2VidRenderer
from talkingface.renderers.lia import LIARenderer
from talkingface.renderers.patch_discriminator import PatchDiscriminator

__all__ = ["FaceVid2VidRenderer", "LIADiscriminator", "LIARenderer", "PatchDiscriminator"]
