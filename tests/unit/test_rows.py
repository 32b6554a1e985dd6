"""Rows survive the disk."""

import csv

import pytest

from talkingface.core.errors import MediaError
from talkingface.evaluation.rows import read_rows, write_rows

ROWS = [
    {"system": "model", "clip": "a", "identity": "anna", "frames": 3, "psnr": 30.125},
    {"system": "frozen", "clip": "a", "identity": "anna", "psnr": float("nan"), "lse-d": 7.5},
]


def test_parquet_keeps_values_types_and_what_is_absent(tmp_path):
    write_rows(tmp_path / "r.parquet", ROWS, {"card": "12"})
    first, second = read_rows(tmp_path / "r.parquet")
    assert first == ROWS[0]
    assert second["psnr"] != second["psnr"]
    assert "frames" not in second
    assert isinstance(first["frames"], int)


def test_the_card_travels_in_the_file(tmp_path):
    from pyarrow import parquet

    write_rows(tmp_path / "r.parquet", ROWS, {"card": "12"})
    assert parquet.read_schema(tmp_path / "r.parquet").metadata[b"card"] == b"12"


def test_csv_has_a_column_for_every_key(tmp_path):
    write_rows(tmp_path / "r.csv", ROWS)
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["psnr"] == "30.125"
    assert rows[1]["frames"] == ""


def test_what_is_no_parquet_is_one_line(tmp_path):
    (tmp_path / "r.parquet").write_text("no")
    with pytest.raises(MediaError, match="cannot be read as Parquet"):
        read_rows(tmp_path / "r.parquet")
