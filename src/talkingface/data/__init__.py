"""Data sets of talking faces: synthetic heads with ground truth, and folders of real clips."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingface.data.clips import ClipModule, FolderClips, SyntheticClips
    from talkingface.data.modules import FolderPairs, PairModule, SyntheticPairs

__all__ = ["ClipModule", "FolderClips", "FolderPairs", "PairModule", "SyntheticClips", "SyntheticPairs"]


def __getattr__(name: str) -> Any:
    """Import the data modules when they are asked for: they need Lightning, the clips themselves do not."""
    if name in __all__:
        file = "clips" if name.endswith(("Clips", "ClipModule")) else "modules"
        return getattr(importlib.import_module(f"talkingface.data.{file}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
