"""Tables in every format: what is bold, what is said of absent values, and which controls beat which methods."""

import csv
import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from talkingface.core.errors import ConfigError
from talkingface.evaluation.tables import Cell, Column, Table, seed_table, summary_table

PSNR = Column("psnr", "PSNR", "dB", higher_is_better=True, digits=2)
LPIPS = Column("lpips", "LPIPS", higher_is_better=False)
JITTER = Column("jitter", "jitter", "px/s³")
NASTY = r"a_b & 50% #1 {x} ~^\ <b> | *c* [d] $e$ `f`"
MISSING = "n/a (weights: talkingface doctor --fetch alexnet)"


def table(rows, columns=(PSNR, LPIPS, JITTER), controls=(), notes=(), title="title"):
    """A table of plain numbers."""
    cells = {
        name: {key: value if isinstance(value, Cell) else Cell(value) for key, value in values.items()}
        for name, values in rows.items()
    }
    return Table(title, tuple(columns), cells, frozenset(controls), tuple(notes))


def lines_of(renderable, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    return console.file.getvalue().splitlines()


def markdown_cells(text, name):
    """Cells of the row of a name."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


# what is bold


def test_the_best_value_is_bold_whichever_way_is_better():
    text = table({"a": {"psnr": 20.0, "lpips": 0.3}, "b": {"psnr": 21.0, "lpips": 0.4}}).markdown()
    assert markdown_cells(text, "a")[:2] == ["20.00", "**0.300**"]
    assert markdown_cells(text, "b")[:2] == ["**21.00**", "0.400"]


def test_without_a_direction_nothing_is_bold():
    assert "**1" not in table({"a": {"jitter": 1.0}, "b": {"jitter": 2.0}}).markdown()


def test_what_looks_equal_is_bold_together():
    made = table({"a": {"psnr": 20.001}, "b": {"psnr": 20.002}, "c": {"psnr": 19.99}})
    assert made.best(PSNR) == {"a", "b"}
    assert made.best(Column("psnr", "PSNR", higher_is_better=True, digits=3)) == {"b"}


def test_controls_are_never_bold_and_never_the_measure():
    rows = {"truth": {"psnr": 99.0}, "a": {"psnr": 20.0}, "b": {"psnr": 21.0}}
    assert table(rows, controls=["truth"]).best(PSNR) == {"b"}
    assert table(rows).best(PSNR) == {"truth"}


def test_one_row_alone_is_not_the_best():
    assert table({"a": {"psnr": 20.0}, "frozen": {"psnr": 19.0}}, controls=["frozen"]).best(PSNR) == frozenset()


def test_absent_values_do_not_compete():
    made = table({"a": {"lpips": math.nan}, "b": {"lpips": 0.2}, "c": {"lpips": 0.3}, "d": {}})
    assert made.best(LPIPS) == {"b"}


# texts


def test_arrows_say_which_way_is_better():
    head = table({}).markdown().splitlines()[2]
    assert head == "| | PSNR ↑ (dB) | LPIPS ↓ | jitter (px/s³) |"


def test_an_interval_and_a_deviation_stand_beside_the_value():
    text = table({"a": {"psnr": Cell(20.0, (19.0, 21.5)), "lpips": Cell(0.2, 0.01), "jitter": Cell(1.0)}}).markdown()
    assert markdown_cells(text, "a") == [r"20.00 \[19.00, 21.50\]", "0.200 ± 0.010", "1.000"]


def test_an_unknown_interval_is_left_out():
    assert markdown_cells(table({"a": {"psnr": Cell(20.0, (math.nan, math.nan))}}).markdown(), "a")[0] == "20.00"


def test_infinity_and_a_rounded_zero_read_well():
    text = table({"a": {"psnr": math.inf, "lpips": -1e-9, "jitter": -math.inf}}).markdown()
    assert markdown_cells(text, "a") == ["∞", "0.000", "-∞"]


def test_absent_values_are_a_dash():
    assert markdown_cells(table({"a": {"psnr": math.nan, "lpips": Cell()}}).markdown(), "a") == ["—", "—", "—"]


def test_a_long_reason_becomes_one_footnote_for_all_cells_that_share_it():
    other = "n/a (no audio in any clip of this folder)"
    text = table(
        {
            "a": {"psnr": Cell(note=MISSING), "lpips": Cell(note=other)},
            "b": {"psnr": Cell(note=MISSING), "lpips": Cell(0.1, note="a remark that needs room")},
        }
    ).markdown()
    assert markdown_cells(text, "a")[:2] == ["n/a¹", "n/a²"]
    assert markdown_cells(text, "b")[:2] == ["n/a¹", "0.100³"]
    assert text.count(MISSING) == 1
    assert f"* ¹ {MISSING}" in text


def test_a_short_note_stays_in_its_cell():
    text = table({"a": {"psnr": Cell(20.0, note="(2/3)"), "lpips": Cell(note="n/a")}}).markdown()
    assert markdown_cells(text, "a")[:2] == ["20.00 (2/3)", "n/a"]


# formats


def test_markdown_escapes_what_would_be_markup():
    text = table({NASTY: {"psnr": 1.0}}, title=NASTY, notes=[NASTY, "two\nlines"]).markdown()
    row = next(line for line in text.splitlines() if line.startswith("| a"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert r"\<b\>" in row
    assert r"\*c\*" in row
    assert "* two lines" in text


def test_latex_escapes_every_character_with_a_meaning():
    text = table({NASTY: {"psnr": -1.0}}, title=NASTY, notes=[NASTY], columns=[PSNR]).latex()
    row = next(line for line in text.splitlines() if line.startswith("a\\_b"))
    expected = (
        r"a\_b \& 50\% \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}b\textgreater{} | *c* {[}d{]} \$e\$ `f` & $-$1.00 \\"
    )
    assert row == expected


def test_latex_is_a_booktabs_float_with_as_many_columns_as_it_says():
    text = table({"a": {"psnr": 20.0}, "b": {"psnr": 21.0}, "frozen": {"psnr": 1.0}}, controls=["frozen"]).latex()
    assert r"\begin{tabular}{lrrr}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [row.count("&") for row in rows] == [3] * 4
    assert r"PSNR $\uparrow$ (dB)" in rows[0]
    assert r"\textbf{21.00}" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    assert text.isascii()  # arrows and powers have their LaTeX names


def test_html_escapes_and_marks():
    text = table(
        {"<script>": {"psnr": Cell(20.0, (19.0, 21.0))}, "b": {"psnr": 21.0}, "frozen": {"lpips": Cell(note=MISSING)}},
        controls=["frozen"],
        title="<script>",
        notes=["<script>"],
    ).html()
    assert "<script>" not in text
    assert "<td>20.00 <span class=note>[19.00, 21.00]</span>" in text
    assert "<td><b>21.00</b>" in text
    assert "<tr class=control><td>frozen" in text
    assert f"<p class=note><sup>1</sup> {MISSING}</p>" in text


def test_a_notebook_shows_the_html():
    shown = table({"a": {"psnr": Cell(20.0)}}, title="Does it help?")
    assert shown._repr_html_() == shown.html()
    assert "Does it help?" in shown.html()


def test_csv_holds_full_precision_and_reads_back():
    made = table(
        {
            "a,b": {"psnr": Cell(20.123456789012345, (19.0, 21.0)), "lpips": Cell(0.1, 0.01, "(2/3)")},
            "frozen": {"psnr": Cell(note=MISSING)},
        },
        controls=["frozen"],
    )
    first, second = csv.DictReader(io.StringIO(made.csv()))
    assert (first["name"], first["control"]) == ("a,b", "0")
    assert float(first["psnr"]) == 20.123456789012345
    assert (first["psnr_low"], first["psnr_high"], first["lpips_sd"], first["lpips_note"]) == (
        "19.0",
        "21.0",
        "0.01",
        "(2/3)",
    )
    assert (second["control"], second["psnr"], second["psnr_note"], second["jitter"]) == ("1", "", MISSING, "")


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_a_terminal_of_any_width_shows_every_number_whole(width):
    columns = [Column(f"m{index}", f"metric {index}", "dB", True) for index in range(9)]
    rows = {
        name: {column.key: Cell(index + shift, (index - 1.0, index + 99.0)) for index, column in enumerate(columns)}
        for name, shift in (("model", 0.25), ("ground truth, re-encoded only", 0.5))
    }
    made = table(rows, columns, controls=["ground truth, re-encoded only"], notes=["a note " * 20])
    lines = lines_of(made, width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    for index in range(9):
        for wanted in (f"{index}.250", f"{index}.500", f"[{index - 1}.000, {index + 99}.000]", f"metric {index} ↑"):
            assert wanted in text
    assert text.count("title") == 1
    assert "a note" in lines[-1]


def test_one_table_that_is_too_narrow_would_cut_numbers():
    columns = [Column(f"m{index}", f"metric {index}") for index in range(9)]
    made = table({"a": {column.key: 12345.678 for column in columns}}, columns)
    assert "…" in "\n".join(lines_of(made.rich(), 60))
    assert "…" not in "\n".join(lines_of(made, 60))


def test_markup_of_the_terminal_is_plain_text():
    text = "\n".join(lines_of(table({"[red]a[/red]": {"psnr": 1.0}}, title="[b]t[/b]", notes=["[i]n[/i]"]), 80))
    assert all(part in text for part in ("[red]a[/red]", "[b]t[/b]", "[i]n[/i]"))


def test_tables_need_neither_torch_nor_rich_nor_scipy_at_import():
    code = (
        "import sys; from talkingface.evaluation import tables\n"
        "print([name for name in ('torch', 'rich', 'scipy', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# systems beside controls


def scores(offsets, people=8, clips=3):
    """A row per system and clip; systems differ by a constant, people and clips by more."""
    generator = np.random.default_rng(0)
    level = {(p, c): 25 + 3 * generator.normal() for p in range(people) for c in range(clips)}
    return [
        {
            "system": system,
            "clip": f"{p}-{c}",
            "identity": str(p),
            "psnr": value + offset,
            "lpips": 0.5 - (value + offset) / 100,
            "jitter": offset,
        }
        for system, offset in offsets.items()
        for (p, c), value in level.items()
    ]


SYSTEMS = {"ground truth": 9.0, "model": 0.0, "frozen": -2.0, "shifted": 1.0}
CONTROLS = ["frozen", "shifted"]


def summary(rows, systems=tuple(SYSTEMS), columns=(PSNR, LPIPS, JITTER), method="model", **options):
    return summary_table(rows, columns, systems, CONTROLS, method, **options)


def test_a_control_that_beats_the_method_is_named_with_both_values_and_a_p_value():
    made = summary(scores(SYSTEMS))
    flags = [note for note in made.notes if " beats " in note]
    assert len(flags) == 1
    mean = made.rows["model"]["psnr"].value
    assert flags[0].startswith(f"! shifted beats model on PSNR ({mean + 1:.2f} against {mean:.2f}, p = 0.0")
    assert "LPIPS" in flags[0]
    assert "jitter" not in flags[0]  # no direction
    assert made.rows["model"]["psnr"].note == "!"
    assert made.rows["shifted"]["psnr"].note == ""


def test_a_control_that_loses_is_not_mentioned():
    made = summary(scores({**SYSTEMS, "shifted": -1.0}))
    assert not any(" beats " in note or note.startswith("p:") for note in made.notes)


def test_the_ground_truth_may_beat_everything():
    made = summary_table(scores(SYSTEMS), [PSNR], list(SYSTEMS), ["ground truth", "frozen"], "model")
    assert not any(" beats " in note for note in made.notes)
    assert "ground truth" in made.controls


def test_every_method_is_judged():
    made = summary(scores({**SYSTEMS, "better": 5.0}), (*SYSTEMS, "better"), method=["model", "better"])
    assert [note.split(" on ")[0] for note in made.notes if " beats " in note] == ["! shifted beats model"]
    assert made.best(PSNR) == {"better"}


def test_holm_is_over_all_controls_and_metrics():
    notes = summary(scores(SYSTEMS)).notes
    assert any("over 4 comparisons" in note for note in notes)  # two controls, two metrics with a direction
    assert any(f"p = {4 * 2 / 2**8:.2g}" in note for note in notes)  # 8 identities, all in one direction


def test_few_identities_cannot_prove_much_and_the_table_says_so():
    few, many = (summary(scores(SYSTEMS, people=people)).notes for people in (3, 12))
    assert "9 clips of 3 identities; mean over clips, then over identities" in few
    assert any("too narrow" in note for note in few)
    assert any("none below 0.25 is possible with 3 identities" in note for note in few)
    assert not any("too narrow" in note or "none below" in note for note in many)


def test_one_identity_gets_no_interval():
    made = summary(scores(SYSTEMS, people=1))
    assert made.rows["model"]["psnr"].spread is None
    assert "intervals need more than one identity" in made.notes


def test_clips_that_failed_are_counted_below():
    rows = scores(SYSTEMS)
    rows[0] = {**rows[0], "lpips": math.nan}
    notes = summary(rows).notes
    assert "LPIPS: clips that could not be scored and are in no mean: ground truth 1 of 24" in notes
    assert not any("could not be scored" in note for note in summary(scores(SYSTEMS)).notes)


def test_a_metric_that_no_clip_has_is_said_to_be_absent():
    rows = [{**row, "lpips": math.nan} if row["system"] == "model" else row for row in scores(SYSTEMS)]
    cell = summary(rows).rows["model"]["lpips"]
    assert cell == Cell(note="n/a (none of 24 clips could be scored)")


def test_given_cells_stand_beside_what_clips_say_and_are_judged_too():
    fid = Column("fid", "FID", higher_is_better=False, digits=1)
    given = {system: {"fid": Cell(value)} for system, value in zip(SYSTEMS, (1.0, 30.0, 20.0, 40.0), strict=True)}
    made = summary(scores(SYSTEMS), columns=[PSNR, fid], given=given)
    assert made.rows["ground truth"]["fid"] == Cell(1.0)
    assert "! frozen beats model on FID (20.0 against 30.0)" in made.notes


def test_what_could_not_be_computed_needs_no_rows():
    given = {system: {"csim": Cell(note=MISSING)} for system in SYSTEMS}
    made = summary(scores(SYSTEMS), columns=[PSNR, Column("csim", "CSIM", "", True)], given=given)
    assert made.rows["model"]["csim"].note == MISSING
    with pytest.raises(ConfigError, match="no row has the metric 'csim'"):
        summary(scores(SYSTEMS), columns=[Column("csim", "CSIM", "", True)])


def test_a_system_with_fewer_clips_is_named():
    rows = scores(SYSTEMS)
    made = summary([row for row in rows if row["system"] != "frozen" or row["clip"] != "0-0"])
    assert made.notes[0] == "24 clips of 8 identities; frozen: 23; mean over clips, then over identities"


# variants over seeds


def test_variants_have_mean_and_deviation_over_their_seeds():
    made = seed_table({"hal": [{"psnr": 24.0}, {"psnr": 26.0}], "none": [{"psnr": 20.0}, {"psnr": 20.0}]}, [PSNR])
    assert markdown_cells(made.markdown(), "hal") == ["**25.00** ± 1.41"]  # n - 1; with n it would be 1.00
    assert made.notes == ("mean ± standard deviation over 2 seeds",)


def test_failed_seeds_are_shown_and_never_averaged():
    made = seed_table(
        {"broken": [{}, {}], "half": [{"psnr": 24.0}, {"psnr": math.nan}]},
        [PSNR],
        failures={"broken": "log in runs/broken/log.txt"},
    )
    assert markdown_cells(made.markdown(), "broken") == ["—"]
    assert markdown_cells(made.markdown(), "half") == ["24.00 (1/2)"]
    assert "broken: log in runs/broken/log.txt" in made.notes


def test_one_seed_has_no_spread():
    made = seed_table({"a": [{"psnr": 1.0}]}, [PSNR])
    assert made.rows["a"]["psnr"] == Cell(1.0)
    assert made.notes == ("one seed: no spread is known",)
