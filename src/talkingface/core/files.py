"""Output files appear whole or not at all: write aside, then rename."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from talkingface.core.errors import TalkingFaceError


def _beside(path: Path) -> Path:
    """A hidden name in the same folder with the same suffix, so that the rename stays on one file system."""
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well, and vanishes when it does not.

    An existing file stays untouched until the new one is complete, also under Ctrl-C or a full disk.

    Args:
        path: the file to make; its folder is created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """As :func:`atomic_file`, for a folder; an existing folder is replaced as a whole.

    Args:
        path: the folder to make.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    part.mkdir()
    try:
        yield part
        if path.exists():
            old = _beside(path)
            os.replace(path, old)
            os.replace(part, path)
            shutil.rmtree(old)
        else:
            os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def made_once(path: str | Path) -> Iterator[bool]:
    """Let one process make what several want; the others wait until it is there.

    Args:
        path: what is wanted. The lock lies beside it, and the system frees that of a process that died.

    Yields:
        Whether it is still to be made, by the caller, now.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not path.exists()


@contextmanager
def only_one(folder: str | Path, what: str) -> Iterator[None]:
    """Let one process at a time work in a folder; the lock of one that died is nobody's.

    Args:
        folder: made if it is not there.
        what: command of the process, for the message.

    Raises:
        TalkingFaceError: when another process works there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when its owner dies
        except OSError as error:
            file.seek(0)
            raise TalkingFaceError(
                f"another {what} runs in {folder} (process {file.read().strip()}). Wait for it, or give another folder."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file, whole or not at all.

    Args:
        path: the file to make.
        text: its content, written as UTF-8.
    """
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")
