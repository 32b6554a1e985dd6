"""A PyTorch Lightning model zoo for talking faces."""

from talkingface._version import __version__

__all__ = ["__version__"]
