"""A prepared set as tar files, split by split, in WebDataset's naming; :mod:`talkingface.data.shards` reads them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.files import atomic_file, only_one, write_text
from talkingface.core.media.paths import writing
from talkingface.data.folder import MANIFEST, SPLITS
from talkingface.data.shards import INDEX, Shard, ShardIndex
from talkingface.prepare.manifest import read_rows
from talkingface.weights import sha256

MEGABYTES = 500
AT_ONCE = 1000  # rows of the manifest as Python objects
SOURCE = "packed.json"  # of what, beside the shards


def pack(
    root: str | Path, dst: str | Path, megabytes: float = MEGABYTES, progress: Callable[[int, int], None] | None = None
) -> ShardIndex:
    """Write the clips of a prepared set into tar files: neighbours in a file are drawn at random from the split.

    Killed at any moment, the same call goes on at the next file; the bytes follow from the set and the size.

    Args:
        root: the prepared set.
        dst: ``SPLIT/shard-000000.tar`` …, and ``shards.json``, which is written last.
        megabytes: size that a file does not exceed, but for one with a single clip.
        progress: is told the clips done and their number.

    Returns:
        What was written.

    Raises:
        MediaError: no prepared set, a clip that is missing or not as it was made, or a full disk.
        ConfigError: a folder with shards of another set or size.
        TalkingFaceError: another run at work on the folder.
    """
    root, dst = Path(root), Path(dst)
    manifest = root / MANIFEST
    next(read_rows(manifest), None)  # refuses what is no prepared set of this version
    total, done = pq.read_metadata(manifest).num_rows, 0
    index = ShardIndex({split: [] for split in SPLITS}, {split: [] for split in SPLITS})
    with only_one(dst, "pack"):
        _same(dst, {"manifest": sha256(manifest), "megabytes": megabytes})
        for split in SPLITS:
            table = _drawn(manifest, split)
            index.people[split].extend(sorted(table["identity"].unique().to_pylist()))
            for rows in _grouped(table, root, megabytes * 1e6):
                name = f"{split}/shard-{len(index.shards[split]):06d}.tar"
                path = dst / name
                if not path.is_file():
                    _write(path, rows, root)
                index.shards[split].append(Shard(name, len(rows), path.stat().st_size))
                done += len(rows)
                if progress is not None:
                    progress(done, total)
        write_text(dst / INDEX, index.to_json())
    return index


def _same(dst: Path, mine: dict[str, Any]) -> None:
    """Refuse to mix the shards of two sets."""
    path = dst / SOURCE
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != mine:
        raise ConfigError(f"{dst} holds shards of another set, or of another size. Give another folder.")
    write_text(path, json.dumps(mine) + "\n")


def _drawn(manifest: Path, split: str) -> pa.Table:
    """The rows of a split in random order, as columns: 400 bytes a clip, where Python objects take 3,000."""
    table = pq.read_table(manifest, filters=[("split", "=", split)])
    return table.take(np.random.default_rng(0).permutation(len(table)))


def _grouped(table: pa.Table, root: Path, most: float) -> Iterator[list[dict[str, Any]]]:
    """Rows of one tar file each."""
    rows, size = list[dict[str, Any]](), 0
    for first in range(0, len(table), AT_ONCE):
        for row in table.slice(first, AT_ONCE).to_pylist():
            path = root / row["path"]
            try:
                more = path.stat().st_size + path.with_suffix(".npz").stat().st_size
            except OSError as error:
                raise MediaError(f"{path} is missing ({error.strerror}). See talkingface prepare --check.") from error
            if rows and size + more > most:
                yield rows
                rows, size = [], 0
            rows.append(row)
            size += more
    if rows:
        yield rows


def _write(path: Path, rows: list[dict[str, Any]], root: Path) -> None:
    with writing(path), atomic_file(path) as part, tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for row in rows:
            video = root / row["path"]
            key = key_of(row["path"])
            _add(tar, f"{key}.mp4", _checked(video, row["sha256"]))
            _add(tar, f"{key}.npz", _checked(video.with_suffix(".npz"), row["arrays_sha256"]))
            _add(tar, f"{key}.json", json.dumps(row, ensure_ascii=False).encode())


def key_of(path: str) -> str:
    """Name of a clip in a tar file; WebDataset ends it at the first dot.

    >>> key_of("clips/anna/take.1_000.mp4")
    'anna/take=2E1_000'
    """
    return path.removeprefix("clips/").removesuffix(".mp4").replace(".", "=2E")


def _checked(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise MediaError(f"{path} is not as it was made. See talkingface prepare --check.")
    return content


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # without time and owner: the same set gives the same bytes
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
