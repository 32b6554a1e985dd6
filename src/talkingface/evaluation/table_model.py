"""A table of numbers: best values in bold, spreads, arrows, absent values with their reason, controls set apart."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkingface.evaluation import table_formats
from talkingface.evaluation.table_formats import Entry, Grid, Line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table as RichTable
    from rich.text import Text

SHORT = 12  # characters; a longer note goes below the table


@dataclass(frozen=True)
class Column:
    """One quantity of a table.

    Args:
        key: of the cells.
        title: what the reader sees.
        unit: behind the title; empty for a pure number.
        higher_is_better: direction, which decides the arrow and what is bold; ``None`` for neither.
        digits: behind the decimal point.
    """

    key: str
    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    digits: int = 3

    @property
    def heading(self) -> str:
        """The title with its arrow.

        >>> Column("psnr", "PSNR", "dB", True).heading
        'PSNR ↑'
        """
        return self.title + {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]

    def text(self, value: float) -> str:
        """A number as the table shows it."""
        return f"{value:z.{self.digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"

    def shown(self, value: float) -> float:
        """The value that the reader sees; what looks equal ties."""
        return round(value, self.digits) if math.isfinite(value) else value


@dataclass(frozen=True)
class Cell:
    """One number, or why there is none.

    Args:
        value: ``None`` or NaN where there is none.
        spread: an interval (low, high), or a standard deviation.
        note: beside a value a flag; without one what is shown in its place. A long one becomes a numbered footnote.
    """

    value: float | None = None
    spread: tuple[float, float] | float | None = None
    note: str = ""

    @property
    def number(self) -> float | None:
        """The value, where there is one."""
        return None if self.value is None or math.isnan(self.value) else self.value


@dataclass(frozen=True)
class Table:
    """Rows by columns, in the order given; ``console.print(table)`` fits it into the terminal's width.

    Args:
        title: above the table.
        columns: what is shown of each row.
        rows: name → key of a column → cell; an absent cell is shown as ``—``.
        controls: rows that are references or negative controls, never bold.
        notes: below the table.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Mapping[str, Mapping[str, Cell]]
    controls: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def best(self, column: Column) -> frozenset[str]:
        """Rows with the best value of a column, controls aside; none without a direction or without a rival."""
        if column.higher_is_better is None:
            return frozenset()
        numbers = {
            name: column.shown(number)
            for name, cells in self.rows.items()
            if name not in self.controls and (number := cells.get(column.key, Cell()).number) is not None
        }
        if len(numbers) < 2:
            return frozenset()
        best = max(numbers.values()) if column.higher_is_better else min(numbers.values())
        return frozenset(name for name, number in numbers.items() if number == best)

    def rich(self) -> "RichTable":
        """For a terminal of any width."""
        return table_formats.to_rich(self._grid())

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator["RichTable | Text"]:
        """Rich's protocol: the table in as many parts as the width needs."""
        return table_formats.to_terminal(self._grid(), console, options)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown."""
        return table_formats.to_markdown(self._grid())

    def latex(self) -> str:
        """A LaTeX float; its document needs the package ``booktabs``."""
        return table_formats.to_latex(self._grid())

    def html(self) -> str:
        """A ``<table>`` and its notes, for a page with the style of :mod:`talkingface.bench.page`."""
        return table_formats.to_html(self._grid())

    def _repr_html_(self) -> str:
        """Jupyter's protocol: the last line of a cell shows the table."""
        return self.html()

    def csv(self) -> str:
        """All numbers in full precision; beside a column's value ``_low`` and ``_high``, or ``_sd``, and ``_note``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        kinds = {column.key: self._kinds(column.key) for column in self.columns}
        writer.writerow(["name", "control"] + [key + kind for key, found in kinds.items() for kind in found])
        for name, cells in self.rows.items():
            values: list[str | float] = []
            for key, found in kinds.items():
                cell = cells.get(key, Cell())
                parts: dict[str, str | float] = {"": "" if cell.number is None else cell.number, "_note": cell.note}
                if isinstance(cell.spread, tuple):
                    parts["_low"], parts["_high"] = cell.spread
                elif cell.spread is not None:
                    parts["_sd"] = cell.spread
                values += [parts.get(kind, "") for kind in found]
            writer.writerow([name, int(name in self.controls), *values])
        return text.getvalue()

    def _kinds(self, key: str) -> list[str]:
        cells = [cells[key] for cells in self.rows.values() if key in cells]
        return (
            [""]
            + ["_low", "_high"] * any(isinstance(cell.spread, tuple) for cell in cells)
            + ["_sd"] * any(isinstance(cell.spread, float | int) for cell in cells)
            + ["_note"] * any(cell.note for cell in cells)
        )

    def _grid(self) -> Grid:
        footnotes: dict[str, int] = {}
        best = {column.key: self.best(column) for column in self.columns}
        lines = []
        for name, cells in self.rows.items():
            entries = [
                _entry(cells.get(column.key, Cell()), column, name in best[column.key], footnotes)
                for column in self.columns
            ]
            lines.append(Line(name, name in self.controls, tuple(entries)))
        headings = tuple((column.heading, column.unit) for column in self.columns)
        return Grid(self.title, headings, tuple(lines), tuple(footnotes), self.notes)


def _entry(cell: Cell, column: Column, bold: bool, footnotes: dict[str, int]) -> Entry:
    """The texts of a cell; a long note gets the next free number."""
    note, footnote = cell.note, 0
    if len(note) > SHORT:
        footnote = footnotes.setdefault(note, len(footnotes) + 1)
        note = "n/a" if note.startswith("n/a") else ""
    if cell.number is None:
        return Entry(note or "—", footnote=footnote)
    spread = ""
    if isinstance(cell.spread, tuple):
        low, high = cell.spread
        spread = "" if math.isnan(low) or math.isnan(high) else f"[{column.text(low)}, {column.text(high)}]"
    elif cell.spread is not None and not math.isnan(cell.spread):
        spread = f"± {column.text(cell.spread)}"
    return Entry(column.text(cell.number), spread, note, footnote, bold)
