"""``talkingface bench`` end to end; killed, resumed, refused, and with cells that fail."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from talkingface.bench.columns import COSTS
from talkingface.bench.plan import Evaluation, Plan, Variant
from talkingface.bench.runner import run_bench
from talkingface.cli.main import main
from talkingface.core.errors import TalkingFaceError

BASE = {
    "model": {
        "class_path": "talkingface.tasks.Reconstruction",
        "init_args": {
            "motion_encoder": {"class_path": "talkingface.motion.LatentMotion"},
            "renderer": "lia",
            "loss_weights": {"l1": 1.0},
        },
    },
    "data": {"class_path": "talkingface.data.SyntheticPairs", "init_args": {"size": 64, "batch_size": 2}},
    "trainer": {"accelerator": "cpu", "limit_val_batches": 0, "num_sanity_val_steps": 0, "log_every_n_steps": 1},
}
TINY = {"model.motion_encoder.size": 64, "model.renderer.size": 64}
TINY |= {"model.motion_encoder.width": 0.0625, "model.renderer.width": 0.0625, "model.motion_encoder.code_dim": 32}
BENCH = {
    "title": "A tiny comparison",
    "base": "base.yaml",
    "options": TINY,
    "variants": {
        "four": {"label": "4 dimensions", "overrides": {"model.motion_encoder.dim": 4}},
        "eight": {"label": "8 dimensions", "overrides": {"model.motion_encoder.dim": 8}},
        "broken": {"label": "impossible", "overrides": {"model.motion_encoder.dim": 99}},  # more than the code has
    },
    "steps": 2,
    "columns": ["psnr", "cross/ssim", "m-lmd", "pose-error", "identity-leakage", "canonical-variance", *COSTS],
}

# Stands in for a cell: says that it started, waits for leave where its name is in the file "held", writes its result.
TOY = """
import json, pathlib, sys, time
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
cell = pathlib.Path(job["cell"])
out = cell.parents[1]
with (out / "started.txt").open("a") as file:
    file.write(job["name"] + "\\n")
print("cell", job["name"], flush=True)
if job["variant"] == "bad":
    sys.exit("it broke")
while (out / "held").exists() and job["name"] in (out / "held").read_text():
    time.sleep(0.02)
part = cell.with_name("." + cell.name + ".part")
part.mkdir(parents=True)
(part / "cell.json").write_text(json.dumps({"name": job["name"], "missing": {}}))
part.rename(cell)
"""
RUNNER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_bench import toy_plan, toy
run_bench_of = toy(Path(sys.argv[1]))
run_bench_of(toy_plan())
"""


def toy_plan(*more):
    variants = tuple(Variant(name, name, {"is": name}, {}) for name in ("a", "b", *more))
    return Plan("toy", "Toy", "", "base", variants, (0, 1), 1, ("psnr",), (), Evaluation())


def toy(out):
    """A bench whose cells take no time."""
    out.mkdir(parents=True, exist_ok=True)
    script = out / "toy.py"
    script.write_text(TOY)

    def run(plan, jobs=1, only=(), watch=lambda states, ended: None):
        return run_bench(plan, out, jobs, only, watch, [sys.executable, str(script)])

    return run


def started(out):
    path = out / "started.txt"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def processes_of(folder):
    """Numbers of the processes whose command line names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def bench_in_background(out):
    """The toy bench in a process of its own, held at "a seed 1"."""
    out.mkdir(parents=True)
    (out / "held").write_text("a seed 1\n")
    script = out / "runner.py"
    script.write_text(RUNNER.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, str(script), str(out)], stderr=subprocess.PIPE)
    wait_for(lambda: "a seed 1" in started(out) or process.poll() is not None)
    assert process.poll() is None, process.stderr.read().decode()
    return process


def kill(process, out):
    """As a power cut would: the runner and its cell."""
    for number in processes_of(out):
        os.kill(number, signal.SIGKILL)
    process.wait(timeout=30)
    process.stderr.close()


def test_a_killed_bench_runs_only_what_was_missing(tmp_path):
    out = tmp_path / "out"
    kill(bench_in_background(out), out)
    assert started(out) == ["a seed 0", "b seed 0", "a seed 1"]
    assert len(list(out.glob("cells/*/cell.json"))) == 2
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/cell.json")}

    (out / "held").unlink()
    states = toy(out)(toy_plan())
    assert started(out)[3:] == ["a seed 1", "b seed 1"]
    assert [state.result["name"] for state in states] == ["a seed 0", "b seed 0", "a seed 1", "b seed 1"]
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in before.items())
    toy(out)(toy_plan())
    assert len(started(out)) == 5  # nothing more


def test_two_benches_in_one_folder_refuse_and_the_lock_of_a_dead_one_is_nobodys(tmp_path):
    out = tmp_path / "out"
    first = bench_in_background(out)
    try:
        with pytest.raises(TalkingFaceError, match=rf"another bench runs in .*process {first.pid}"):
            toy(out)(toy_plan())
    finally:
        kill(first, out)
    assert (out / "lock").read_text().strip() == str(first.pid)  # stale
    (out / "held").unlink()
    assert all(state.result for state in toy(out)(toy_plan()))


def test_a_changed_variant_runs_anew_and_the_others_do_not(tmp_path):
    run = toy(tmp_path / "out")
    run(toy_plan())
    a, b = toy_plan().variants
    states = run(replace(toy_plan(), variants=(a, replace(b, config={"is": "changed"}))))
    assert started(tmp_path / "out")[4:] == ["b seed 0", "b seed 1"]
    assert all(state.result for state in states)


def test_a_failed_cell_leaves_its_log_and_the_others_go_on(tmp_path):
    seen = []
    states = toy(tmp_path / "out")(toy_plan("bad"), watch=lambda states, ended: seen.append(ended and ended.cell.name))
    assert {state.cell.name for state in states if state.failed} == {"bad seed 0", "bad seed 1"}
    assert all(state.result for state in states if not state.failed)
    assert "it broke" in next(state.tail for state in states if state.failed)
    assert seen[0] is None
    assert len(seen) == 7  # told after every cell
    toy(tmp_path / "out")(toy_plan("bad"))
    assert started(tmp_path / "out")[6:] == ["bad seed 0", "bad seed 1"]  # failures are tried again


def test_a_cell_that_writes_nothing_has_failed(tmp_path):
    states = run_bench(
        toy_plan(), tmp_path / "out", 2, ("a",), lambda states, ended: None, [sys.executable, "-c", "pass"]
    )
    assert [(state.cell.name, state.failed) for state in states if state.failed] == [
        ("a seed 0", True),
        ("a seed 1", True),
    ]  # and b was not asked for


def test_cells_run_at_once_as_many_as_wanted(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "held").write_text("a seed 0\nb seed 0\n")

    script = out / "runner.py"
    script.write_text(RUNNER.format(tests=str(Path(__file__).parent)).replace("toy_plan())", "toy_plan(), jobs=2)"))
    process = subprocess.Popen([sys.executable, str(script), str(out)])
    wait_for(lambda: len(started(out)) == 2)
    time.sleep(0.5)
    assert sorted(started(out)) == ["a seed 0", "b seed 0"]  # both, and not a third
    (out / "held").unlink()
    assert process.wait(timeout=60) == 0
    assert len(started(out)) == 4


def test_two_variants_with_the_same_settings_share_a_cell(tmp_path):
    a, b = toy_plan().variants
    states = toy(tmp_path / "out")(replace(toy_plan(), variants=(a, replace(b, config=a.config)), seeds=(0,)))
    assert len(started(tmp_path / "out")) == 1
    assert all(state.result for state in states)


def test_a_neighbouring_bench_lends_the_cell_that_it_has(tmp_path):
    toy(tmp_path / "one")(replace(toy_plan(), seeds=(0,)))
    states = toy(tmp_path / "two")(toy_plan())
    assert started(tmp_path / "two") == ["a seed 1", "b seed 1"]
    assert all(state.result for state in states)


def test_a_cell_whose_metric_has_its_weights_by_now_is_judged_again(tmp_path, monkeypatch):
    run = toy(tmp_path / "bench")
    (state, *_) = run(toy_plan(), only=("a",))
    (state.folder / "cell.json").write_text(json.dumps({"name": "a seed 0", "missing": {"lpips": ["alexnet"]}}))
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    run(toy_plan(), only=("a",))
    assert len(started(tmp_path / "bench")) == 2
    (tmp_path / "alexnet.safetensors").write_bytes(b"weights")
    run(toy_plan(), only=("a",))
    assert started(tmp_path / "bench")[2:] == ["a seed 0"]


@pytest.fixture(scope="module")
def bench_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False))
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(BENCH, sort_keys=False))
    return path


def test_a_smoke_bench_end_to_end(bench_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    arguments = ["bench", str(bench_file), "--smoke", "--jobs", "2", "--out", str(out)]
    assert main(arguments) == 1  # one variant is impossible
    told = capsys.readouterr()
    assert "SMOKE" in told.out
    assert "1 cell(s) failed" in told.err
    assert "broken-seed0.txt" in told.err
    results = json.loads((out / "results.json").read_text())
    four, eight, broken = results["cells"]
    assert (four["state"], eight["state"], broken["state"]) == ("done", "done", "failed")
    assert four["values"]["ground truth"]["psnr"] == 100.0
    assert four["values"]["copy the source"]["psnr"] == eight["values"]["copy the source"]["psnr"]
    assert four["values"]["model"]["psnr"] != eight["values"]["model"]["psnr"]
    assert four["values"]["model"]["parameters"] < eight["values"]["model"]["parameters"]
    assert four["values"]["model"]["peak_gb"] > 0.1
    for name in ("m-lmd", "pose-error"):  # the truth is read by the same reader, so it has its error too
        assert four["values"]["ground truth"][name] < four["values"]["model"][name]
    assert 0 <= four["values"]["model"]["identity-leakage"] <= 1
    assert four["values"]["model"]["canonical-variance"] is None  # a latent motion has no canonical keypoints
    html = (out / "index.html").read_text()
    assert html.count("data:video/mp4") == 2 * 4
    assert "99 dimensions does not fit" in html  # the end of the log
    assert "—" in (out / "table.md").read_text()
    assert not list(out.glob("fits/*/run"))  # checkpoints are not kept
    assert not list(out.glob("*/.*.part*"))

    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/cell.json")}
    assert main([*arguments, "--only", "four", "eight", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"][0]["values"] == four["values"]
    assert {path: path.stat().st_mtime_ns for path in out.glob("cells/*/cell.json")} == before


def test_nothing_of_a_bench_outlives_it_when_it_is_killed(bench_file, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "talkingface", "bench", str(bench_file), "--out", str(out), "--only", "four"]
    environment = os.environ | {"TALKINGFACE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fits = out.resolve() / "fits"
    wait_for(lambda: processes_of(fits) or process.poll() is not None, 120)  # its training
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    wait_for(lambda: not processes_of(out), 10)
    assert not list(out.glob("cells/*/cell.json"))


def edited(bench_file, tmp_path, **changes):
    (tmp_path / "base.yaml").write_text((bench_file.parent / "base.yaml").read_text())
    path = tmp_path / "edited.yaml"
    path.write_text(yaml.safe_dump(BENCH | changes, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ["pnsr"]}, "there is no 'pnsr'; known: psnr"),
        (
            {"variants": {"a": {"overrides": {"model.motion_encoder.projector": "fcc"}}}},
            "variant 'a': .*projector.*'lmd', 'fc'",
        ),
        ({"variants": {"a": {"overrides": {"model.motion_encoder.dims": 3}}}}, "has no 'dims'; it has: dim"),
    ],
)
def test_a_wrong_file_is_wrong_usage_and_nothing_is_run(changes, message, bench_file, tmp_path, capsys):
    code = main(["bench", str(edited(bench_file, tmp_path, **changes)), "--out", str(tmp_path / "out")])
    assert code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_an_unknown_bench_lists_the_known_ones(capsys):
    assert main(["bench", "anitalker-hall"]) == 2
    assert "known: anitalker-hal" in capsys.readouterr().err
    assert main(["bench"]) == 2
    assert "anitalker-projector" in capsys.readouterr().err


def test_variants_of_stage_2_share_one_stage_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    variants = ["--only", "audio-only", "regression"]
    assert main(["bench", "anitalker-speech", "--smoke", "--jobs", "2", "--out", str(out), *variants]) == 0
    assert len(list(out.glob("fits/*/model/model_index.json"))) == 3  # two of stage 2, and one of stage 1
    results = json.loads((out / "results.json").read_text())
    cells = {cell["variant"]: cell for cell in results["cells"] if cell["state"] == "done"}
    assert set(cells) == {"audio-only", "regression"}
    for cell in cells.values():
        values = cell["values"]
        assert values["ground truth"]["speech/pose-error"] < values["model"]["speech/pose-error"]
        assert values["true motion"]["speech/psnr"] < 100
        assert values["model"]["told/pose-error"] is None  # neither can be told anything
    assert cells["audio-only"]["values"]["true motion"] == cells["regression"]["values"]["true motion"]


def test_variants_of_two_methods_have_a_stage_1_each_and_one_protocol(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    variants = ["--only", "anitalker", "takin-ada"]
    assert main(["bench", "takin-ada-speech", "--smoke", "--jobs", "2", "--out", str(out), *variants]) == 0
    assert len(list(out.glob("fits/*/model/model_index.json"))) == 4
    results = json.loads((out / "results.json").read_text())
    cells = {cell["variant"]: cell["values"] for cell in results["cells"] if cell["state"] == "done"}
    assert set(cells) == {"anitalker", "takin-ada"}
    first, second = cells.values()
    assert first["ground truth"] == second["ground truth"]
    assert first["true motion"] != second["true motion"]
    assert all(values["model"]["told/pose-error"] is not None for values in cells.values())
    assert "AniTalker: anitalker-tiny-stage2, with a stage 1 of 4 steps" in (out / "table.md").read_text()


def test_how_much_canonical_keypoints_vary_is_measured_where_there_are_any(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    assert main(["bench", "takin-ada-losses", "--smoke", "--out", str(out), "--only", "neither"]) == 0
    (cell,) = (cell for cell in json.loads((out / "results.json").read_text())["cells"] if cell["state"] == "done")
    assert cell["values"]["model"]["canonical-variance"] > 0
    assert cell["values"]["ground truth"]["canonical-variance"] is None
