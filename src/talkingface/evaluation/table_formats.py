"""A table of finished texts, written for the terminal, Markdown, LaTeX and HTML; user text is escaped in each."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table
    from rich.text import Text

SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")
LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "[": "{[}",  # a row that starts with a bracket would be read as the argument of the line break before it
    "]": "{]}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "°": r"$^\circ$",
    "−": "$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "—": "---",
    "–": "--",
    "…": r"\ldots{}",
    "²": "$^2$",
    "³": "$^3$",
    **{char: "\\" + char for char in "&%$#_{}"},
}


@dataclass(frozen=True)
class Entry:
    """One cell.

    Args:
        value: the number, or what stands in its place.
        spread: ``"[low, high]"``, ``"± sd"`` or nothing.
        flag: short text beside the value.
        footnote: number of its footnote; 0 for none.
        bold: whether it is the best of its column.
    """

    value: str
    spread: str = ""
    flag: str = ""
    footnote: int = 0
    bold: bool = False


@dataclass(frozen=True)
class Line:
    """One row: its name, whether it is a control, and its cells."""

    name: str
    control: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Grid:
    """The whole table as text.

    Args:
        title: above it.
        headings: title of each column, with its arrow, and its unit.
        lines: the rows.
        footnotes: texts of the numbers 1, 2, …
        notes: further texts below.
    """

    title: str
    headings: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    footnotes: tuple[str, ...]
    notes: tuple[str, ...]

    def below(self) -> list[str]:
        """Everything under the table, numbered footnotes first."""
        return [f"{_superscript(index)} {text}" for index, text in enumerate(self.footnotes, 1)] + list(self.notes)

    def groups(self) -> Iterator[tuple[Line, bool]]:
        """Every row, and whether a rule goes above it because methods end and controls begin, or the other way."""
        for index, line in enumerate(self.lines):
            yield line, index > 0 and line.control != self.lines[index - 1].control


def to_rich(grid: Grid) -> "Table":
    """For a terminal, spreads under their values."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    caption = Text("\n".join(grid.below()), style="not italic", justify="left") if grid.below() else None
    table = Table(title=Text(grid.title) if grid.title else None, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", max_width=28)
    for title, unit in grid.headings:
        table.add_column(Text(f"{title}\n({unit})" if unit else title), justify="right", no_wrap=True)
    two_lines = any(entry.spread for line in grid.lines for entry in line.entries)
    for line, rule in grid.groups():
        if rule:
            table.add_section()
        cells = []
        for entry in line.entries:
            cell = Text(_value(entry), style="bold" if entry.bold else "")
            if two_lines:
                cell.append(f"\n{entry.spread}", style="not bold dim")
            cells.append(cell)
        table.add_row(Text(line.name, style="dim" if line.control else ""), *cells)
    return table


def to_terminal(grid: Grid, console: "Console", options: "ConsoleOptions") -> Iterator["Table | Text"]:
    """As many tables, one under the other, as it takes to fit the width without cutting a number; then the notes."""
    from rich.measure import Measurement
    from rich.text import Text

    def width(end: int) -> int:
        return Measurement.get(console, options.update(max_width=10_000), to_rich(_columns(grid, start, end))).maximum

    start, total = 0, len(grid.headings)
    while start < total:
        end = next((end for end in range(total, start + 1, -1) if width(end) <= options.max_width), start + 1)
        part = _columns(grid, start, end)
        yield to_rich(replace(part, title=grid.title if start == 0 else "", footnotes=(), notes=()))
        start = end
    yield Text("\n".join(grid.below()))


def to_markdown(grid: Grid) -> str:
    """A table of GitHub-flavoured Markdown, its notes as a list below."""
    names = [f"{title} ({unit})" if unit else title for title, unit in grid.headings]
    lines = [
        f"**{_markdown(grid.title)}**",
        "",
        "| | " + "".join(f"{_markdown(name)} | " for name in names).rstrip(),
        "|:--|" + "--:|" * len(names),
    ]
    for line in grid.lines:
        cells = []
        for entry in line.entries:
            value = f"**{_markdown(entry.value)}**" if entry.bold else _markdown(entry.value)
            cells.append(value + MARKDOWN.sub(r"\\\1", _behind(entry) + (f" {entry.spread}" if entry.spread else "")))
        lines.append(f"| {' | '.join([_markdown(line.name), *cells])} |")
    below = [f"* {_markdown(text)}" for text in grid.below()]
    return "\n".join([*lines, *([""] if below else []), *below]) + "\n"


def to_latex(grid: Grid) -> str:
    r"""A float with rules of the package ``booktabs``; every character of the texts is safe."""
    names = [f"{title} ({unit})" if unit else title for title, unit in grid.headings]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(grid.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["", *map(_latex, names)]).lstrip() + r" \\",
        r"\midrule",
    ]
    for line, rule in grid.groups():
        if rule:
            lines.append(r"\midrule")
        cells = []
        for entry in line.entries:
            value = rf"\textbf{{{_number(entry.value)}}}" if entry.bold else _number(entry.value)
            flag = f" {_latex(entry.flag)}" if entry.flag else ""
            mark = f"$^{{{entry.footnote}}}$" if entry.footnote else ""
            spread = rf" {{\scriptsize {_number(entry.spread)}}}" if entry.spread else ""
            cells.append(value + flag + mark + spread)
        lines.append(" & ".join([_latex(line.name), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [f"$^{{{index}}}$ {_latex(text)}" for index, text in enumerate(grid.footnotes, 1)]
    lines += [rf"\par{{\footnotesize {note}}}" for note in [*notes, *map(_latex, grid.notes)]]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_html(grid: Grid) -> str:
    """A ``<table>`` and its notes, for a page with the style of :mod:`talkingface.bench.page`."""
    names = [f"{title} ({unit})" if unit else title for title, unit in grid.headings]
    head = "".join(f"<th>{html.escape(name)}" for name in ("", *names))
    body = []
    for line in grid.lines:
        cells = [html.escape(line.name)]
        for entry in line.entries:
            value = html.escape(entry.value)
            flag = f" {html.escape(entry.flag)}" if entry.flag else ""
            mark = f"<sup>{entry.footnote}</sup>" if entry.footnote else ""
            spread = f" <span class=note>{html.escape(entry.spread)}</span>" if entry.spread else ""
            cells.append((f"<b>{value}</b>" if entry.bold else value) + flag + mark + spread)
        body.append(f"<tr{' class=control' if line.control else ''}>" + "".join(f"<td>{cell}" for cell in cells))
    notes = [f"<sup>{index}</sup> {html.escape(text)}" for index, text in enumerate(grid.footnotes, 1)]
    below = "".join(f"<p class=note>{note}</p>" for note in [*notes, *map(html.escape, grid.notes)])
    return f"<table><caption>{html.escape(grid.title)}</caption><tr>{head}{''.join(body)}</table>{below}"


def _columns(grid: Grid, start: int, end: int) -> Grid:
    lines = tuple(replace(line, entries=line.entries[start:end]) for line in grid.lines)
    return replace(grid, headings=grid.headings[start:end], lines=lines)


def _superscript(number: int) -> str:
    return str(number).translate(SUPERSCRIPT)


def _behind(entry: Entry) -> str:
    return (f" {entry.flag}" if entry.flag else "") + (_superscript(entry.footnote) if entry.footnote else "")


def _value(entry: Entry) -> str:
    return entry.value + _behind(entry)


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in " ".join(text.split()))


def _number(text: str) -> str:
    return _latex(re.sub(r"-(?=[\d∞])", "−", text))  # a hyphen is too short for a minus
