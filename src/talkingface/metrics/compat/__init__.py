"""The official chain from a video file to LSE-D, LSE-C and offset, replayed step by step with its own codecs."""

from talkingface.metrics.compat.features import OfficialSync

__all__ = ["OfficialSync"]
