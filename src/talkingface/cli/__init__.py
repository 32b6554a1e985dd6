"""The ``talkingface`` command; each verb is one module, imported when it is called."""

from talkingface.cli.main import main

__all__ = ["main"]
