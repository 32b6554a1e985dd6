"""Data sets of talking faces: synthetic heads with ground truth, and folders of real clips."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingface.data.clips import ClipModule, FolderClips, SyntheticClips
    from talkingface.data.edits import FolderEdits, SyntheticEdits
    from talkingface.data.modules import FolderPairs, PairModule, SyntheticPairs
    from talkingface.data.shard_pairs import ShardPairs
    from talkingface.data.sync_windows import FolderSync, SyncModule, SyntheticSync

FILES = {
    "clips": ("ClipModule", "FolderClips", "SyntheticClips"),
    "edits": ("FolderEdits", "SyntheticEdits"),
    "modules": ("FolderPairs", "PairModule", "SyntheticPairs"),
    "shard_pairs": ("ShardPairs",),
    "sync_windows": ("FolderSync", "SyncModule", "SyntheticSync"),
}
__all__ = [
    "ClipModule",
    "FolderClips",
    "FolderEdits",
    "FolderPairs",
    "FolderSync",
    "PairModule",
    "ShardPairs",
    "SyncModule",
    "SyntheticClips",
    "SyntheticEdits",
    "SyntheticPairs",
    "SyntheticSync",
]


def __getattr__(name: str) -> Any:
    """Import the data modules when they are asked for: they need Lightning, the clips themselves do not."""
    for file, names in FILES.items():
        if name in names:
            return getattr(importlib.import_module(f"talkingface.data.{file}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
