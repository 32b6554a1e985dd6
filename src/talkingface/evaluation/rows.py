"""Per-clip rows as Parquet and CSV: the raw material of every table, so that it can be summed up anew."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from talkingface.core.errors import MediaError
from talkingface.core.files import atomic_file
from talkingface.evaluation.scoring import Row


def write_rows(path: Path, rows: Sequence[Row], about: Mapping[str, str] | None = None) -> None:
    """Write rows, whole or not at all.

    Args:
        path: ``.parquet`` or ``.csv``.
        rows: they may have different columns; what a row lacks is empty.
        about: stands in the Parquet file's metadata, such as the card's hash.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with atomic_file(path) as part:
        if path.suffix == ".csv":
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
            return
        import pyarrow as pa  # 0.2 s, which no other verb should wait for
        from pyarrow import parquet

        table = pa.table({column: [row.get(column) for row in rows] for column in columns})
        parquet.write_table(table.replace_schema_metadata(dict(about or {})), part)


def read_rows(path: Path) -> list[Row]:
    """Read rows that :func:`write_rows` wrote as Parquet; empty cells are left out.

    Args:
        path: the file.

    Raises:
        MediaError: a missing or damaged file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        found = parquet.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise MediaError(f"{path} cannot be read as Parquet ({error}).") from error
    return [{key: value for key, value in row.items() if value is not None} for row in found]
