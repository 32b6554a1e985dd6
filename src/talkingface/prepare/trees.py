"""What layouts share: walking a folder in order, and naming sources."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from talkingface.core.errors import MediaError


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted in each folder, hidden ones left out; one folder at a time is in memory.

    A folder inside that may not be read is given as if it were a file, so that it comes into the report.

    Raises:
        MediaError: when there is no such folder.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise MediaError(
            f"{folder} is not a folder that can be read ({error.strerror}). Give the raw videos'."
        ) from error
    for entry in entries:
        if entry.name.startswith("."):  # macOS leaves a "._clip.mp4" beside each clip on foreign disks
            continue
        path = Path(entry.path)
        if entry.is_dir() and os.access(path, os.R_OK | os.X_OK):
            yield from walk(path)
        else:
            yield path


def name_of(inside: Path) -> str:
    """Name of a source that every file system takes, another for each: what is no letter, digit, ``.``, ``-`` or ``_``
    becomes its code, and so does a suffix that is not ``.mp4``.

    Args:
        inside: the file below the folder that is prepared.

    >>> [name_of(Path(name)) for name in ("anna/my take.mp4", "anna/été.mov", "a/.x=.mp4")]
    ['anna/my=20take', 'anna/été=mov', 'a/=2Ex=3D']
    """
    stem = inside.with_suffix("").as_posix()
    coded = re.sub(r"[^\w./-]", lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), stem)
    coded = re.sub(r"(^|/)\.", r"\1=2E", coded)
    return coded if inside.suffix == ".mp4" else f"{coded}={re.sub(r'[^a-zA-Z0-9]', '', inside.suffix)}"
