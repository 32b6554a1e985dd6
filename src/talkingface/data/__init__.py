"""Data sets of talking faces: synthetic heads with ground truth, and folders of real clips."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingface.data.modules import FolderPairs, PairModule, SyntheticPairs

__all__ = ["FolderPairs", "PairModule", "SyntheticPairs"]


def __getattr__(name: str) -> Any:
    """Import the data modules when they are asked for: they need Lightning, the clips themselves do not."""
    if name in __all__:
        from talkingface.data import modules

        return getattr(modules, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
