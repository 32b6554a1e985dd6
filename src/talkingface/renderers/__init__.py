"""Renderers: portrait and motion → picture, and the discriminators that judge them."""

from talkingface.renderers.discriminator import LIADiscriminator
from talkingface.renderers.lia import LIARenderer

__all__ = ["LIADiscriminator", "LIARenderer"]
