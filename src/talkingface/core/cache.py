"""Where things that cost time are kept between runs."""

import os
from pathlib import Path


def cache_folder(*names: str) -> Path:
    """A folder of the cache; it may not exist yet.

    ``$TALKINGFACE_CACHE`` says where the cache is; by default it is ``~/.cache/talkingface``.

    Args:
        names: folders inside the cache.
    """
    root = os.environ.get("TALKINGFACE_CACHE") or Path.home() / ".cache" / "talkingface"
    return Path(root).joinpath(*names)
