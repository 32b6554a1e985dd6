"""What a bench says of its cells: means, spreads, failures, missing weights, controls that win, differing commits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from talkingface.bench.columns import CONTROLS
from talkingface.bench.plan import Evaluation, Fit, Plan, Variant
from talkingface.bench.report import (
    difference_table,
    differences,
    interval_table,
    main_table,
    write_report,
)
from talkingface.bench.runner import CellState
from talkingface.bench.values import column_of
from talkingface.evaluation.rows import read_rows

COLUMNS = ("psnr", "cross/ssim", "parameters", "minutes")
GAIN = {"plain": 0.0, "better": 1.0}


def make_plan(**changes):
    variants = tuple(Variant(name, f"the {name} one", {"trainer": {}}, {"model.x": name}) for name in GAIN)
    plan = Plan("mine", "Does it help?", "Paper, Table 1", "base", variants, (0, 1), 9, COLUMNS, CONTROLS, Evaluation())
    return replace(plan, **changes)


def rows(gain, seed):
    found = []
    for task in ("self", "cross"):
        for person in range(8):
            for system, bonus in {"model": gain, "copy the source": -5, "shuffled": -4, "ground truth": 50}.items():
                psnr = 20 + person + bonus + seed * (system == "model")
                row = {"system": system, "clip": f"clip {person}", "identity": str(person), "task": task}
                found.append(row | {"psnr": psnr, "ssim": psnr / 100})
    return found


def result(state_rows, **changes):
    return {
        "rows": state_rows,
        "sets": {},
        "leakage": {},
        "missing": {},
        "failures": [],
        "conventions": {"psnr": "psnr/frame-mean"},
        "parameters": 240_000,
        "seconds": {"train": 90.0, "evaluate": 10.0},
        "peak_gb": {"train": 1.0, "evaluate": 0.5},
        "versions": {"torch": "2"},
        "git": {"train": "abc", "evaluate": "abc"},
    } | changes


def states_of(plan, failed=(), waiting=(), **changes):
    found = []
    for cell in plan.cells():
        state = CellState(cell, Path("nowhere"), Path("logs") / f"{cell.name}.txt")
        if cell.name in failed:
            state = replace(state, failed=True)
        elif cell.name not in waiting:
            state = replace(state, result=result(rows(GAIN[cell.variant.name], cell.seed), **changes))
        found.append(state)
    return found


@pytest.fixture
def plan():
    return make_plan()


def test_a_row_is_the_mean_over_people_and_the_spread_over_seeds(plan):
    cells = main_table(plan, states_of(plan)).rows["the better one"]
    assert cells["psnr"].value == pytest.approx(20 + 3.5 + 1 + 0.5)  # people 0…7, gain 1, seeds 0 and 1
    assert cells["psnr"].spread == pytest.approx(0.5**0.5)
    assert cells["parameters"].value == pytest.approx(0.24)
    assert cells["minutes"].value == pytest.approx(1.5)


def test_self_and_cross_are_told_apart(plan):
    states = states_of(plan)
    for state in states:
        for row in state.result["rows"]:
            row["ssim"] = {"self": 0.1, "cross": 0.9}[row["task"]]
    assert main_table(plan, states).rows["the plain one"]["cross/ssim"].value == pytest.approx(0.9)


def test_the_best_variant_is_bold_and_controls_never_are(plan):
    table = main_table(plan, states_of(plan))
    assert table.best(column_of("psnr")) == {"the better one"}
    assert {"copy the source", "shuffled", "ground truth"} == table.controls
    assert "**25.00**" in table.markdown()
    assert "PSNR ↑" in table.markdown()
    assert "**73.50**" not in table.markdown()  # the ground truth


def test_a_failed_cell_is_a_dash_with_its_log_and_does_not_hide_the_others(plan):
    both = main_table(plan, states_of(plan, failed=("better seed 0", "better seed 1")))
    assert both.rows["the better one"]["psnr"].number is None
    assert "—" in both.markdown()
    assert "logs/better seed 0.txt" in both.markdown()
    assert both.rows["the plain one"]["psnr"].number is not None

    one = main_table(plan, states_of(plan, failed=("better seed 0",)))
    assert one.rows["the better one"]["psnr"].number == pytest.approx(25.5)
    assert one.rows["the better one"]["psnr"].note.strip("()") == "1/2"


def test_cells_that_have_not_been_run_are_counted_and_not_called_failed(plan):
    text = main_table(plan, states_of(plan, waiting=("better seed 1",))).markdown()
    assert "1 of 4 cells have not been run" in text
    assert "failed" not in text
    assert "not been run" not in main_table(plan, states_of(plan)).markdown()


def test_a_metric_without_weights_says_how_to_get_them(plan):
    states = states_of(plan, missing={"psnr": ["alexnet"]})
    for state in states:
        state.result["rows"] = [{k: v for k, v in row.items() if k != "psnr"} for row in state.result["rows"]]
    table = main_table(plan, states)
    assert table.rows["the plain one"]["psnr"].note == "n/a (weights: talkingface doctor --fetch alexnet)"
    assert table.rows["the plain one"]["cross/ssim"].number is not None


def test_a_metric_that_could_not_be_computed_says_why(plan):
    failure = {"metric": "psnr", "reason": "has no audio", "clip": "a", "system": "self/model"}
    states = states_of(plan, failures=[failure])
    for state in states:
        state.result["rows"] = [row | {"psnr": float("nan")} for row in state.result["rows"]]
    assert main_table(plan, states).rows["the plain one"]["psnr"].note == "n/a (has no audio)"


def test_a_control_that_beats_a_variant_is_named(plan):
    states = states_of(plan)
    assert "not better than its control" not in main_table(plan, states).markdown()
    for state in states:
        for row in state.result["rows"]:
            row["psnr"] += 100 * (row["system"] == "copy the source")
    text = main_table(plan, states).markdown()
    assert "the plain one is not better than its control 'copy the source' in PSNR (118.50 against 24.00)" in text


def test_a_score_of_a_set_of_clips_is_taken_from_its_report(plan):
    states = states_of(plan, sets={"self/model": {"psnr": {"value": 7.0, "warning": "too few frames"}}})
    table = main_table(plan, states)
    assert table.rows["the plain one"]["psnr"].value == 7.0
    assert "PSNR: too few frames" in table.notes


def test_cells_of_different_commits_are_said(plan):
    states = states_of(plan)
    assert "different commits" not in main_table(plan, states).markdown()
    states[0].result["git"]["train"] = "def"
    assert "different commits of the code: abc, def" in main_table(plan, states).markdown()


def test_intervals_are_over_people_of_all_seeds(plan):
    cell = interval_table(plan, states_of(plan)).rows["the better one"]["psnr"]
    assert cell.value == pytest.approx(25.0)
    low, high = cell.spread
    assert 22.5 < low < 24 < 26 < high < 27.5  # eight people spread over 20…27


def test_variants_are_compared_with_the_first_on_the_same_clips(plan):
    by_column = differences(plan, states_of(plan))
    assert list(by_column) == [("psnr", "better"), ("cross/ssim", "better")]
    found = list(by_column.values())
    assert (found[0].system, found[0].other) == ("better", "plain")
    assert found[0].mean == found[0].low == found[0].high == pytest.approx(1.0)  # people differ, their gain does not
    assert found[0].p == pytest.approx(2 / 2**8)
    assert found[0].p_holm == pytest.approx(2 * found[0].p)  # two comparisons
    assert found[0].clips == 16  # eight clips of two seeds
    table = difference_table(plan, states_of(plan))
    assert list(table.rows) == ["the better one − the plain one"]
    assert table.best(table.columns[0]) == frozenset()


def test_a_variant_without_a_task_is_left_out_where_the_task_is_judged(plan):
    states = states_of(plan)  # as a generator without controls among others that are told pose and place
    for state in states:
        if state.cell.variant.name == "better":
            state.result["rows"] = [row for row in state.result["rows"] if row["task"] == "self"]
    assert list(differences(plan, states)) == [("psnr", "better")]
    table = interval_table(plan, states)
    shuffled = main_table(plan, states).rows["shuffled"]["cross/ssim"].value
    assert shuffled == pytest.approx(main_table(plan, states_of(plan)).rows["shuffled"]["cross/ssim"].value)
    assert {name: list(cells) for name, cells in table.rows.items()} == {
        "the plain one": ["psnr", "cross/ssim"],
        "the better one": ["psnr"],
    }
    assert table.markdown().splitlines()[5].endswith("| — |")


def test_nothing_is_compared_before_there_is_something(plan):
    assert difference_table(plan, states_of(plan, waiting=("better seed 0", "better seed 1"))) is None
    assert interval_table(plan, states_of(plan, waiting=[cell.name for cell in plan.cells()])) is None


def test_every_format_is_written(plan, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("first line\nthe <last> line\n")
    states = [replace(state, log=log, folder=tmp_path) for state in states_of(plan, failed=("better seed 1",))]
    (tmp_path / "self0.mp4").write_bytes(b"video")
    fit = tmp_path / "fits" / states[0].cell.fit_key[:16]
    fit.mkdir(parents=True)
    (fit / "metrics.csv").write_text("step,train/loss_step\n0,1.0\n50,0.5\n")
    write_report(plan, states, tmp_path)

    assert (tmp_path / "table.csv").read_text().startswith("name,control,psnr,psnr_sd")
    assert "| the better one |" in (tmp_path / "table.md").read_text()
    assert r"\textbf{" in (tmp_path / "table.tex").read_text()
    html = (tmp_path / "index.html").read_text()
    assert html.count("data:video/mp4;base64,") == 2  # one clip of each variant
    assert "<polyline" in html
    assert "the &lt;last&gt; line" in html
    assert "http" not in html
    results = json.loads((tmp_path / "results.json").read_text())
    assert [cell["state"] for cell in results["cells"]] == ["done", "done", "done", "failed"]
    assert results["cells"][0]["values"]["model"]["psnr"] == pytest.approx(23.5)
    assert results["cells"][0]["values"]["shuffled"]["minutes"] is None  # NaN is no JSON
    written = read_rows(tmp_path / "rows.parquet")
    assert len(written) == 3 * 64
    assert {row["variant"] for row in written} == set(GAIN)


def test_a_smoke_run_says_so_in_every_title(plan, tmp_path):
    smoke = plan.at_smoke_scale()
    write_report(smoke, states_of(smoke), tmp_path)
    for name in ("table.md", "table.tex", "index.html", "results.json"):
        assert "SMOKE" in (tmp_path / name).read_text()


def test_a_report_can_be_written_before_the_first_cell(plan, tmp_path):
    write_report(plan, states_of(plan, waiting=[cell.name for cell in plan.cells()]), tmp_path)
    assert "4 of 4 cells have not been run" in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "rows.parquet").exists()


def test_canonical_variance_is_in_percent_of_the_models_that_have_canonical_keypoints():
    plan = make_plan(columns=("psnr", "canonical-variance"))
    table = main_table(plan, states_of(plan, canonical={"variance": 0.0123}))
    cell = table.rows["the plain one"]["canonical-variance"]
    assert cell.value == pytest.approx(1.23)
    assert any(note.startswith("canonical variance: ") for note in table.notes)
    without = main_table(plan, states_of(plan, canonical={}))
    assert without.rows["the plain one"]["canonical-variance"].number is None
    assert not any(note.startswith("canonical variance: ") for note in without.notes)


def test_speed_is_shown_as_noisy_and_never_as_best():
    plan = make_plan(columns=("psnr", "frames-per-second", "first-frame", "one-step-loss"))
    states = states_of(plan, speed={"frames-per-second": 12.5, "first-frame": 80.0}, one_step_loss=1.25)
    table = main_table(plan, states)
    cells = table.rows["the plain one"]
    assert [cells[name].value for name in plan.columns[1:]] == [12.5, 80.0, 1.25]
    assert all(table.best(column) == frozenset() for column in table.columns[1:])
    assert "frames/s, noisy" in table.markdown()
    assert any(note.startswith("speed: one thread") for note in table.notes)
    assert table.rows["ground truth"]["frames-per-second"].number is None
    older = main_table(plan, states_of(plan))  # cells of before there was such a column
    assert older.rows["the plain one"]["frames-per-second"].number is None
    assert older.rows["the plain one"]["one-step-loss"].number is None


def test_what_editors_were_taught_by_is_said_once():
    expert = Fit({"expert": 1}, 0, 7)
    plain, better = (replace(variant, needs={"expert": expert}) for variant in make_plan().variants)
    plan = make_plan(variants=(plain, better))
    notes = [note for note in main_table(plan, states_of(plan)).notes if "expert" in note]
    assert notes == ["editors are taught by an expert of 7 steps, seed 0; it judges nothing here"]


def test_one_protocol_has_a_card_and_two_say_what_differs(plan):
    assert any(note.startswith("protocol card ") for note in main_table(plan, states_of(plan)).notes)
    plain, better = plan.variants
    near = replace(better, config={"data": {"init_args": {"framing": 0.7}}})
    notes = main_table(replace(plan, variants=(plain, near)), states_of(replace(plan, variants=(plain, near)))).notes
    assert not any(note.startswith("protocol card ") for note in notes)
    (told,) = (note for note in notes if "does not compare" in note)
    assert told.startswith("the better one is judged by another protocol than the plain one")
    assert "framing: 1.0 | 0.7" in told


def test_what_a_representation_can_show_is_the_mean_over_representations():
    """Of two methods in one bench; a shared stage 1 is shown as it is."""
    first, second = (Fit({"stage": number}, 0, 5) for number in (1, 2))
    variants = (
        Variant("plain", "the plain one", {}, {}),
        Variant("better", "the better one", {}, {"base": "theirs"}, {"representation": second}),
    )
    plan = make_plan(
        variants=variants,
        columns=("speech/psnr",),
        controls=("true motion", "ground truth"),
        needs={"representation": first},
    )
    states = []
    for cell in plan.cells():
        shown = 30.0 if cell.variant.name == "plain" else 20.0
        row = {"task": "speech", "clip": "a", "identity": "1"}
        found = [
            row | {"system": name, "psnr": psnr} for name, psnr in (("true motion", shown), ("ground truth", 100.0))
        ]
        found.append(row | {"system": "model", "psnr": 10.0})
        states.append(CellState(cell, Path("nowhere"), Path("log"), result=result(found)))
    table = main_table(plan, states)
    assert table.rows["true motion"]["speech/psnr"].value == 25.0
    assert table.rows["ground truth"]["speech/psnr"].value == 100.0
    assert "the better one: theirs, with a stage 1 of 5 steps, seed 0" in table.notes
    assert "all other variants share one stage 1 of 5 steps, seed 0" in table.notes
