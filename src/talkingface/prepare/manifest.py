"""The table of a prepared set: one Parquet row a clip, with a schema version and hashes, and one a drop."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from talkingface.core.errors import MediaError
from talkingface.core.files import atomic_file
from talkingface.core.media import VideoReader
from talkingface.data.folder import MANIFEST
from talkingface.prepare.records import Clip, Dropped, Outcome
from talkingface.weights import sha256

SCHEMA = "2"  # of the tables' columns
VERSION = b"talkingface.prepare.schema"
DROPPED = "dropped.parquet"
ROWS = 10_000  # of a group, the most that is in memory
TYPES: dict[Any, pa.DataType] = {str: pa.string(), bool: pa.bool_(), int: pa.int32(), float: pa.float64()}
TYPES |= {optional: TYPES[kind] for kind, optional in ((int, int | None), (float, float | None))}


def write_tables(dst: Path, outcomes: Iterable[Outcome], settings: dict[str, Any]) -> None:
    """Write ``manifest.parquet`` and ``dropped.parquet``, each whole or not at all, in groups of rows.

    Args:
        dst: the prepared set.
        outcomes: of all jobs, in order.
        settings: kept in the tables.
    """
    about = {VERSION: SCHEMA.encode(), b"talkingface.prepare.settings": json.dumps(settings).encode()}
    with ExitStack() as stack:
        tables = []
        for name, kind in ((MANIFEST, Clip), (DROPPED, Dropped)):
            part = stack.enter_context(atomic_file(dst / name))
            schema = pa.schema([(field.name, TYPES[field.type]) for field in fields(kind)], about)
            tables.append((stack.enter_context(pq.ParquetWriter(part, schema)), schema, list[dict[str, Any]]()))
        for outcome in outcomes:
            content = outcome.to_json()
            for (writer, schema, rows), found in zip(tables, ("clips", "dropped"), strict=True):
                rows.extend(content[found])
                if len(rows) >= ROWS:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    rows.clear()
        for writer, schema, rows in tables:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table of a prepared set, some thousands at a time in memory.

    Raises:
        MediaError: a missing file, or one of another schema.
    """
    if not path.is_file():
        raise MediaError(f"{path} does not exist: {path.parent} is no prepared set, or was not finished.")
    with pq.ParquetFile(path) as file:
        version = (file.schema_arrow.metadata or {}).get(VERSION, b"?").decode()
        if version != SCHEMA:
            raise MediaError(f"{path} has schema {version}, this version reads {SCHEMA}. Prepare the set again.")
        for batch in file.iter_batches(ROWS):
            yield from batch.to_pylist()


def check(dst: Path) -> tuple[int, list[str]]:
    """Verify a prepared set: every file of the manifest is there, as it was made, and nothing else lies among them.

    Args:
        dst: the prepared set.

    Returns:
        Number of clips, and what is wrong, a line each.

    Raises:
        MediaError: without a manifest.
    """
    wrong: list[str] = []
    known: set[str] = set()
    splits: dict[str, str] = {}
    for row in read_rows(dst / MANIFEST):
        path = dst / row["path"]
        known.add(row["path"])
        for file, digest in ((path, row["sha256"]), (path.with_suffix(".npz"), row["arrays_sha256"])):
            name = file.relative_to(dst)
            if not file.is_file():
                wrong.append(f"{name} is missing")
            elif sha256(file) != digest:
                wrong.append(f"{name} is not as it was made")
            elif file == path and len(VideoReader(file)) != row["frames"]:
                wrong.append(f"{name} does not have {row['frames']} frames")
        if splits.setdefault(row["identity"], row["split"]) != row["split"]:
            wrong.append(f"{row['identity']} is in {splits[row['identity']]} and in {row['split']}")
    for path in sorted((dst / "clips").rglob("*.mp4")):
        if path.relative_to(dst).as_posix() not in known and not path.name.startswith("."):
            wrong.append(f"{path.relative_to(dst)} is not in the manifest")
    return len(known), wrong
