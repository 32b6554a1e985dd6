"""A full disk stops a run, whatever was being written; it is no fault of the video."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from talkingface.core.errors import MediaError, TalkingFaceError


def is_full(error: BaseException | None) -> bool:
    """Whether the system said that there is no space left, or none for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk_stops(dst: Path) -> Iterator[None]:
    """Turn the system's word into one clear line.

    Args:
        dst: the set that is made.

    Raises:
        TalkingFaceError: for a full disk; other errors go through.
    """
    try:
        yield
    except (OSError, MediaError) as error:
        if is_full(error) or is_full(error.__cause__):
            raise TalkingFaceError(
                f"there is no space left for {dst}. Finished clips are kept: free some, and run the same command again."
            ) from error
        raise
