"""Which version of the code made a file."""

import functools
import subprocess
from pathlib import Path

CHECKPOINT_FORMAT = 1  # of what tasks write under ``checkpoint["talkingface"]`` and ``export`` reads


@functools.cache
def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, ``+`` when files were changed; ``None`` when installed."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
