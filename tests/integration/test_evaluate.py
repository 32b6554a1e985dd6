"""``talkingface evaluate`` on folders of clips: numbers, controls, everything that goes wrong, one process and two."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface.cli import main
from talkingface.core.media import VideoWriter, write_audio
from talkingface.evaluation.results import Results, read_results
from talkingface.metrics import psnr, ssim

SIZE = 64  # at 32 px x264 looks at memory that nobody has written, and no two files are alike
PEOPLE = ("anna", "bert", "cleo")


def moving(seed: int, frames: int = 20, size: int = SIZE) -> np.ndarray:
    """A smooth picture that drifts to the right, so that neighbouring frames are alike and distant ones are not."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 6, (3, 2))
    x = np.arange(size)[None, None, :, None] + 2 * np.arange(frames)[:, None, None, None]
    y = np.arange(size)[None, :, None, None]
    waves = np.sin(0.35 * x + phase[:, 0]) * np.cos(0.2 * y + phase[:, 1])
    return np.uint8(127 + 90 * waves + random.uniform(-20, 20, 3))


def noisy(clip: np.ndarray, amount: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-amount, amount + 1, clip.shape)
    return np.uint8(np.clip(clip.astype(int) + noise, 0, 255))


def save(path: Path, clip: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, clip)
    else:
        with VideoWriter(path) as writer:
            writer.write(clip)
    return path


@pytest.fixture
def folders(tmp_path) -> Path:
    """Two clips of each of three people, and predictions that are a little noisy."""
    for person, name in enumerate(PEOPLE):
        for take in range(2):
            target = moving(10 * person + take)
            save(tmp_path / "target" / name / f"{take}.npy", target)
            save(tmp_path / "pred" / name / f"{take}.npy", noisy(target, 6, take))
    return tmp_path


def evaluate(folder: Path, *options: str, out: str = "r.json", metrics: str = "psnr ssim") -> Results:
    arguments = ["--pred", folder / "pred", "--out", folder / out, *options]
    if "--source" not in options:
        arguments += ["--target", folder / "target"]
    assert main(["evaluate", *map(str, arguments), "--metrics", *metrics.split()]) == 0
    return read_results(folder / out)


def cells(folder: Path, out: str = "r.json") -> dict[str, dict[str, dict[str, float]]]:
    return json.loads((folder / out).read_text(encoding="utf-8"))["table"]


def row(results: Results, system: str, clip: str) -> dict[str, float]:
    (found,) = (row for row in results.rows if (row["system"], row["clip"]) == (system, clip))
    return found


def reasons(results: Results, clip: str, metric: str | None = None) -> str:
    found = [one for one in results.failures if one.clip == clip and metric in (None, one.metric)]
    return "; ".join(one.reason for one in found)


def test_each_clip_has_the_value_of_the_plain_function(folders):
    results = evaluate(folders)
    for name in PEOPLE:
        for take in range(2):
            ours, theirs = (
                torch.from_numpy(np.load(folders / side / name / f"{take}.npy")).movedim(-1, 1)
                for side in ("pred", "target")
            )
            found = row(results, "pred", f"{name}/{take}")
            assert found["identity"] == name
            assert found["psnr"] == pytest.approx(float(psnr(ours, theirs).mean()), abs=1e-12)
            assert found["ssim"] == pytest.approx(float(ssim(ours, theirs).mean()), abs=1e-12)


def test_the_ground_truth_is_best_and_controls_order_as_they_should(folders):
    evaluate(folders)
    value = {system: row["psnr"]["value"] for system, row in cells(folders).items()}
    assert value["ground truth"] == 100.0
    assert value["ground truth"] > value["re-encoded"] > value["1 frame late"] > value["5 frames late"]
    assert value["1 frame late"] > value["frozen"]
    assert value["5 frames late"] > value["another person"]
    assert "another clip's speech" not in value  # no metric here listens


def test_a_control_that_beats_a_method_is_said(folders):
    for name in PEOPLE:
        for take in range(2):
            save(folders / "pred" / name / f"{take}.npy", noisy(moving(10 * PEOPLE.index(name) + take), 120))
    evaluate(folders)
    notes = " ".join(json.loads((folders / "r.json").read_text(encoding="utf-8"))["notes"])
    assert "re-encoded beats pred on PSNR" in notes


def test_a_good_method_is_beaten_by_no_shifted_control(folders):
    evaluate(folders)
    notes = " ".join(json.loads((folders / "r.json").read_text(encoding="utf-8"))["notes"])
    assert "late beats" not in notes


@pytest.mark.parametrize("metrics", ["psnr ssim colour", "psnr fvd"])
def test_two_processes_give_the_numbers_of_one(folders, plugin, metrics):
    one = evaluate(folders, metrics=metrics)
    two = evaluate(folders, "--processes", "2", metrics=metrics, out="r2.json")
    assert [(r["system"], r["clip"]) for r in one.rows] == [(r["system"], r["clip"]) for r in two.rows]
    for ours, theirs in zip(one.rows, two.rows, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9, nan_ok=True)
    assert one.hash == two.hash
    for system, reports in one.sets.items():
        for metric, report in reports.items():
            other = two.sets[system][metric]
            assert report["value"] == pytest.approx(other["value"], abs=1e-9, nan_ok=True)
            assert {k: v for k, v in report.items() if isinstance(v, int)} == {
                k: v for k, v in other.items() if isinstance(v, int)
            }


def test_a_frame_in_which_nothing_is_found_scores_the_worst_and_is_counted(folders, plugin):
    dark = np.load(folders / "pred" / "anna" / "0.npy")
    dark[:5] = 0
    save(folders / "pred" / "anna" / "0.npy", dark)
    results = evaluate(folders, metrics="colour")
    found = row(results, "pred", "anna/0")
    assert found["colour.lost"] == 5
    assert found["colour"] > 0.25 * 255
    assert row(results, "pred", "anna/1")["colour.lost"] == 0


def test_a_network_that_is_missing_is_named_with_the_command_that_gets_it(folders, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folders / "nothing"))
    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    evaluate(folders, metrics="psnr lpips")
    shown = cells(folders)["pred"]
    assert shown["lpips"]["value"] is None
    assert shown["lpips"]["note"] == "n/a (weights: talkingface doctor --fetch alexnet)"
    assert shown["psnr"]["value"] > 20


def test_clips_of_two_lengths_are_scored_as_far_as_both_go(folders):
    save(folders / "pred" / "anna" / "0.npy", moving(0)[:12])
    results = evaluate(folders)
    found = row(results, "pred", "anna/0")
    assert (found["frames_pred"], found["frames_target"], found["frames"]) == (12, 20, 12)
    assert found["psnr"] == 100.0
    assert "not as long as their target" in " ".join(json.loads((folders / "r.json").read_text())["notes"])


def test_clips_of_two_sizes_are_listed_and_scored_on_request(folders):
    save(folders / "pred" / "anna" / "0.npy", moving(0, size=96))
    results = evaluate(folders)
    assert math.isnan(row(results, "pred", "anna/0")["psnr"])
    assert "96×96" in reasons(results, "anna/0")
    assert "--size" in reasons(results, "anna/0")
    assert row(evaluate(folders, "--size", "64"), "pred", "anna/0")["psnr"] > 10


def test_a_prediction_with_nan_frames_is_a_row_with_its_reason(folders):
    broken = moving(0).astype(np.float32) / 127.5 - 1
    broken[3] = np.nan
    save(folders / "pred" / "anna" / "0.npy", broken)
    results = evaluate(folders)
    assert math.isnan(row(results, "pred", "anna/0")["psnr"])
    assert "NaN or infinite values in 1 frames, the first in 3" in reasons(results, "anna/0")
    assert cells(folders)["pred"]["psnr"]["value"] > 20  # of the others


def test_a_damaged_video_is_a_row_with_its_reason(folders):
    (folders / "pred" / "anna" / "0.npy").unlink()
    (folders / "pred" / "anna" / "0.mp4").write_bytes(b"no video at all")
    results = evaluate(folders)
    assert math.isnan(row(results, "pred", "anna/0")["psnr"])
    assert reasons(results, "anna/0")


def test_a_clip_of_one_frame_is_scored_by_what_needs_no_time(folders):
    for side in ("pred", "target"):
        save(folders / side / "anna" / "0.npy", moving(0)[:1])
    results = evaluate(folders)
    assert row(results, "pred", "anna/0")["psnr"] == 100.0
    assert row(results, "frozen", "anna/0")["frames"] == 1


def test_names_that_do_not_pair_are_listed(folders):
    save(folders / "pred" / "anna" / "00.npy", moving(0))
    results = evaluate(folders)
    assert results.run["unpaired"] == ["prediction 'anna/00' has no target (nearest: 'anna/0')"]
    assert "not scored: prediction 'anna/00'" in " ".join(json.loads((folders / "r.json").read_text())["notes"])


def test_an_empty_folder_is_one_line(folders, capsys):
    (folders / "empty").mkdir()
    arguments = ["--pred", folders / "empty", "--target", folders / "target", "--out", folders / "r.json"]
    assert main(["evaluate", *map(str, arguments)]) == 1
    assert capsys.readouterr().err.strip() == f"talkingface: {folders / 'empty'} holds no clip: " + (
        "no video, no .npy file, no folder of pictures."
    )
    assert not (folders / "r.json").exists()


def test_an_unknown_metric_stops_before_anything_is_read(folders, capsys):
    arguments = ["--pred", "nowhere", "--target", "nowhere", "--out", "r.json", "--metrics", "pnsr"]
    assert main(["evaluate", *arguments]) == 1
    assert "no metric 'pnsr'; known: psnr" in capsys.readouterr().err


def test_identical_files_count_as_a_hundred_decibels(folders):
    results = evaluate(folders, "--pred", str(folders / "target"), "--name", "copy")
    assert {r["psnr"] for r in results.rows if r["system"] == "copy"} == {100.0}


def test_skipped_frames_are_left_out_of_prediction_target_and_controls(folders):
    bad_start = np.load(folders / "pred" / "anna" / "0.npy")
    bad_start[0] = 0
    save(folders / "pred" / "anna" / "0.npy", bad_start)
    with_start, without = evaluate(folders), evaluate(folders, "--skip", "1")
    assert row(without, "pred", "anna/0")["psnr"] > row(with_start, "pred", "anna/0")["psnr"] + 0.5
    assert row(without, "frozen", "anna/0")["frames"] == 19


def test_cross_reenactment_is_judged_against_the_portrait(folders):
    for name in PEOPLE:
        for take in range(2):
            save(folders / "source" / name / f"{take}.npy", moving(10 * PEOPLE.index(name) + take)[:1])
    results = evaluate(folders, "--source", str(folders / "source"))
    assert results.protocol["mode"] == "cross-reenactment"
    assert row(results, "copy", "anna/0")["psnr"] == 100.0
    assert row(results, "pred", "anna/0")["psnr"] > row(results, "another person", "anna/0")["psnr"]


def test_speech_of_another_clip_is_a_control_of_metrics_that_listen(folders):
    random = np.random.default_rng(0)
    for name in PEOPLE:
        for take in range(2):
            path = folders / "audio" / name / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, random.uniform(-0.5, 0.5, 20 * 640).astype(np.float32))
    results = evaluate(folders, "--audio", str(folders / "audio"), metrics="psnr lip-loudness")
    assert "psnr" not in row(results, "another clip's speech", "anna/0")
    assert math.isnan(row(results, "another clip's speech", "anna/0")["lip-loudness"])  # nothing finds landmarks here


def test_a_clip_without_sound_is_listed_by_metrics_that_listen(folders):
    results = evaluate(folders, metrics="psnr lse-d")
    assert "audio" in reasons(results, "anna/0", "lse-d") or "syncnet" in reasons(results, "anna/0", "lse-d")
    assert row(results, "pred", "anna/0")["psnr"] > 20


def test_the_card_changes_with_the_protocol_only(folders):
    first = evaluate(folders)
    assert evaluate(folders, "--name", "again").hash == first.hash
    assert evaluate(folders, "--skip", "1").hash != first.hash
    assert evaluate(folders, metrics="psnr").hash != first.hash
    save(folders / "target" / "anna" / "0.npy", moving(99))
    assert evaluate(folders).hash != first.hash


def test_results_under_one_card_make_one_table(folders, capsys):
    evaluate(folders, "--name", "ours")
    evaluate(folders, "--pred", str(folders / "target"), "--name", "theirs", out="theirs.json")
    capsys.readouterr()
    assert main(["evaluate", "--compare", str(folders / "r.json"), str(folders / "theirs.json"), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["table"]
    assert table["ours"]["psnr"] < table["theirs"]["psnr"] == 100.0
    assert "frozen" in table


def test_results_under_two_cards_do_not_mix_unasked(folders, capsys):
    evaluate(folders, "--name", "ours")
    evaluate(folders, "--skip", "2", "--name", "theirs", out="theirs.json")
    command = ["evaluate", "--compare", str(folders / "r.json"), str(folders / "theirs.json")]
    assert main(command) == 1
    assert "skipped frames: 0 | 2" in capsys.readouterr().err
    assert main([*command, "--mix", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(set(answer["cards"].values())) == 2
    notes = " ".join(answer["notes"])
    assert all(card in notes for card in answer["cards"].values())
    assert "skipped frames: 0 | 2" in notes


def test_a_changed_card_is_noticed(folders, capsys):
    evaluate(folders)
    content = json.loads((folders / "r.json").read_text(encoding="utf-8"))
    content["protocol"]["skipped frames"] = 7
    (folders / "r.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(["evaluate", "--compare", str(folders / "r.json")]) == 1
    assert "was changed" in capsys.readouterr().err


def test_videos_are_scored_as_they_were_written_and_the_card_says_so(folders):
    for name in PEOPLE:
        (folders / "pred" / name / "0.npy").unlink()
        save(folders / "pred" / name / "0.mp4", moving(10 * PEOPLE.index(name)))
    results = evaluate(folders)
    assert results.protocol["output path"] == ["array", "h264"]
    assert 20 < row(results, "pred", "anna/0")["psnr"] < 60
