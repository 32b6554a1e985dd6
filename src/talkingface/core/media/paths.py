"""Checks that every reader and writer of media makes on a path before a decoder sees it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from talkingface.core.errors import MediaError, did_you_mean


def input_file(path: str | Path) -> Path:
    """Refuse what is not a readable, non-empty file.

    Args:
        path: the file to read.

    Returns:
        The path.

    Raises:
        MediaError: a missing file (with the nearest names beside it), a folder, an empty file.
    """
    path = Path(path)
    if path.is_dir():
        raise MediaError(f"{path} is a folder, a file was expected. Name one file in it.")
    if not path.exists():
        raise MediaError(f"{path} does not exist.{_nearest(path)}")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(f"{path} is empty (0 bytes). Copy or export it again.")
    except PermissionError as error:
        raise MediaError(f"{path} may not be read (permission denied). Change its permissions.") from error
    return path


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" Neither does its folder {path.parent}."
    near = did_you_mean(path.name, (other.name for other in path.parent.iterdir() if other.is_file()))
    return f" Did you mean one of: {', '.join(near.split(', ')[:3])}?" if near else " Its folder is empty."


def check_suffix(path: Path, known: tuple[str, ...]) -> None:
    """Refuse to write a file whose suffix names no format that we write.

    Args:
        path: the file to write.
        known: suffixes in lower case, with the dot.

    Raises:
        MediaError: listing the known suffixes.
    """
    if path.suffix.lower() not in known:
        raise MediaError(f"{path} has a suffix that cannot be written. Use one of: {', '.join(known)}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn failures of the system while ``path`` is written into one clear line.

    Args:
        path: what the message names; the part beside it is what was really written.

    Raises:
        MediaError: with the system's reason and, for a full disk, the mend.
    """
    try:
        yield
    except MediaError:
        raise
    except OSError as error:
        mend = "Free some space and run again" if error.errno == errno.ENOSPC else "Check the folder and try again"
        reason = error.strerror or str(error)
        raise MediaError(f"{path} could not be written: {reason}. {mend}; an older file is unchanged.") from error
