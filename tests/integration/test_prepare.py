"""Raw videos become a training set: everything on disk, killed and run again, checked, and trained from."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from media_files import make_sound, make_video, tone
from prepare_toys import OPTIONS, SMALL, hashes
from talkingface.cli import main
from talkingface.core.errors import ConfigError, TalkingFaceError
from talkingface.core.files import only_one
from talkingface.core.media import VideoWriter
from talkingface.core.media.paths import writing
from talkingface.data.folder import scan_folder
from talkingface.data.synthetic import Staging, render_clip
from talkingface.prepare import jobs, run, trees
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings


def test_clips_are_made_and_everything_else_has_its_reason(made):
    rows = list(read_rows(made / "manifest.parquet"))
    assert [(row["path"], row["identity"], row["frames"], row["sound"]) for row in rows] == [
        (f"clips/{name}/take=20one_000.mp4", name, 60, True) for name in "abc"
    ]
    dropped = [(row["source"], row["stage"]) for row in read_rows(made / "dropped.parquet")]
    assert dropped == [
        ("a/short.mp4", "length"),
        ("b/two copies.mp4", "duplicate"),
        ("b/two.mp4", "one face"),
        ("b/two.mp4", "one face"),
        ("c/empty.mp4", "probe"),
        ("c/grey.mp4", "faces"),
        ("c/text.mp4", "probe"),
    ]
    assert check(made) == (3, [])


def test_arrays_lie_beside_the_clip_and_hold_where_the_face_is(made):
    arrays = np.load(made / "clips" / "a" / "take=20one_000.npz")
    assert arrays["frames"].tolist() == list(range(0, 60, 5))
    assert arrays["points"].shape == (12, 5, 2)
    assert (arrays["points"] > 0).all()
    assert (arrays["points"] < 1).all()
    assert np.abs(arrays["points_pose"][:, 0]).max() < 60


def test_statistics_and_page_count_what_was_made(made):
    found = json.loads((made / "statistics.json").read_text())
    assert found["sets"]["all"] == {"identities": 3, "clips": 3, "hours": 0.002, "hours_with_sound": 0.002}
    assert found["dropped"]["one face"]["spans"] == 2
    html = (made / "index.html").read_text()
    assert "another face of such size" in html
    assert "middle frames of 3 of 3 clips" in html
    assert "left out by the stage &#x27;one face&#x27;" in html
    assert html.count("data:image/png") == 3  # clips, and the stages that saw pictures: faces and one face
    assert {"yaw", "pitch", "roll", "face", "frames", "loudness"} <= found["histograms"].keys()
    assert sum(found["histograms"]["pitch"]) == 3
    assert "likeness" not in found["histograms"]  # was not measured


def test_the_data_module_reads_the_set_by_its_root_alone(made):
    clips, summary = scan_folder(made)
    assert [clip.identity for clip in clips] == ["a", "b", "c"]
    assert summary.skipped == ()
    by_row = {row["identity"]: row["split"] for row in read_rows(made / "manifest.parquet")}
    assert {clip.identity: clip.split for clip in clips} == by_row


def test_a_second_run_changes_nothing_and_does_nothing_twice(raw, made):
    before, touched = hashes(made), (made / "clips" / "a" / "take=20one_000.mp4").stat().st_mtime_ns
    prepare("folder", raw, made, SMALL)
    assert hashes(made) == before
    assert (made / "clips" / "a" / "take=20one_000.mp4").stat().st_mtime_ns == touched


def test_a_killed_run_goes_on_in_two_processes_and_ends_alike(raw, made, tmp_path):
    command = [sys.executable, "-m", "talkingface", "prepare", "folder", str(raw), str(tmp_path / "set"), *OPTIONS]
    outcomes = sorted(path.name for path in (made / "work").rglob("*.json"))
    victim = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list((tmp_path / "set").rglob("work/*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait(timeout=60) == -signal.SIGKILL
    assert 0 < len(list((tmp_path / "set" / "work").rglob("*.json"))) < len(outcomes)
    left_over = tmp_path / "set" / "clips" / ".half.0123abcd.part.mp4"
    left_over.parent.mkdir(exist_ok=True)
    left_over.write_text("half")
    again = subprocess.run([*command, "--processes", "2"], check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert hashes(tmp_path / "set") == hashes(made)


def test_enough_clips_of_a_person_are_enough(raw, tmp_path):
    (tmp_path / "raw" / "b").mkdir(parents=True)
    for number in range(3):
        content = (raw / "b" / "take one.mp4").read_bytes()
        (tmp_path / "raw" / "b" / f"{number}.mp4").write_bytes(content + bytes(number))  # not copies of each other
    prepare(
        "folder", tmp_path / "raw", tmp_path / "set", Settings(size=64, min_face=48, min_blur=1.0, clips_per_identity=2)
    )
    assert len(list(read_rows(tmp_path / "set" / "manifest.parquet"))) == 2
    assert [row["stage"] for row in read_rows(tmp_path / "set" / "dropped.parquet")] == ["enough"]


def test_the_check_finds_what_was_changed_removed_or_added(raw, tmp_path):
    prepare("folder", raw, tmp_path / "set", SMALL)
    clips = tmp_path / "set" / "clips"
    (clips / "a" / "take=20one_000.mp4").write_bytes(b"else")
    (clips / "b" / "take=20one_000.npz").unlink()
    (clips / "c" / "more.mp4").write_bytes(b"more")
    assert check(tmp_path / "set")[1] == [
        "clips/a/take=20one_000.mp4 is not as it was made",
        "clips/b/take=20one_000.npz is missing",
        "clips/c/more.mp4 is not in the manifest",
    ]
    assert main(["prepare", "--check", str(tmp_path / "set")]) == 1


def test_two_runs_on_one_set_are_refused(raw, made):
    with only_one(made, "prepare"), pytest.raises(TalkingFaceError, match="another prepare runs in"):
        prepare("folder", raw, made, SMALL)


def test_other_settings_on_one_set_are_refused(raw, made):
    with pytest.raises(ConfigError, match="was begun with min_face 48"):
        prepare("folder", raw, made, Settings(size=64, min_face=50, min_blur=1.0))


def test_a_set_inside_its_own_source_is_refused(raw):
    with pytest.raises(ConfigError, match="lies inside"):
        prepare("folder", raw, raw / "set", SMALL)


def test_an_unknown_layout_is_named_with_the_known_ones(raw, tmp_path, capsys):
    assert main(["prepare", "foldr", str(raw), str(tmp_path / "set")]) == 1
    assert "there is no layout 'foldr'; known: folder" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_a_folder_without_any_video_of_the_layout_is_one_clear_line(raw, tmp_path):
    with pytest.raises(ConfigError, match=r"raw videos\d+ holds no video of the layout 'mead': see 'talkingface show"):
        prepare("mead", raw, tmp_path / "set", SMALL)


def test_a_layout_of_a_plugin_is_used_like_ours(raw, tmp_path, plugin):
    source = tmp_path / "raw"
    source.mkdir()
    shutil.copy(raw / "a" / "take one.mp4", source / "1.mp4")
    (source / "cast.txt").write_text("1.mp4 anna\n2.mp4 ben\n")
    assert main(["prepare", "cast:split=test", str(source), str(tmp_path / "set"), *OPTIONS]) == 0
    (row,) = read_rows(tmp_path / "set" / "manifest.parquet")
    assert (row["path"], row["identity"], row["split"]) == ("clips/1_000.mp4", "anna", "test")
    (dropped,) = read_rows(tmp_path / "set" / "dropped.parquet")
    assert (dropped["source"], dropped["stage"]) == ("2.mp4", "probe")  # it is not there


def test_what_may_not_be_read_is_in_the_report(raw, tmp_path, monkeypatch):
    shutil.copytree(raw / "a", tmp_path / "raw" / "a")
    (tmp_path / "raw" / "secret").mkdir()
    for name, target in (("access", trees.os), ("open", Path)):
        forbid(monkeypatch, target, name, ("short.mp4", "secret"))  # root may read all
    prepare("folder", tmp_path / "raw", tmp_path / "set", SMALL)
    dropped = [(row["source"], row["stage"], row["reason"]) for row in read_rows(tmp_path / "set" / "dropped.parquet")]
    assert dropped == [
        ("a/short.mp4", "probe", "a/short.mp4 may not be read (permission denied). Change its permissions."),
        ("secret", "layout", "a folder that may not be read"),
    ]
    assert len(list(read_rows(tmp_path / "set" / "manifest.parquet"))) == 1


def forbid(monkeypatch, target, name, names):
    """The system refuses some files and folders."""
    real = getattr(target, name)

    def refusing(path, *arguments, **options):
        if Path(path).name not in names:
            return real(path, *arguments, **options)
        if name == "access":
            return False
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(target, name, refusing)


@pytest.mark.parametrize("moment", ["video", "arrays", "outcome", "manifest"])
def test_a_full_disk_stops_the_run_and_the_next_ends_alike(raw, made, tmp_path, monkeypatch, moment):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def full_video(writer, frames):
        with writing(writer.path):
            full()

    target = {
        "video": (VideoWriter, "write", full_video),
        "arrays": (np, "savez", full),
        "outcome": (jobs, "write_text", full),
        "manifest": (run, "write_tables", full),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(*target)
        with pytest.raises(TalkingFaceError, match=r"no space left for .*set\. Finished clips are kept"):
            prepare("folder", raw, tmp_path / "set", SMALL)
    prepare("folder", raw, tmp_path / "set", SMALL)
    assert hashes(tmp_path / "set") == hashes(made)


def test_emotions_and_sound_of_their_own_come_into_the_set(raw, tmp_path):
    source = tmp_path / "mead"
    for level in ("video/front/happy/level_2", "audio/happy/level_2"):
        (source / "M003" / level).mkdir(parents=True)
    silent = render_clip(3, 0, 60, 96, audio=False, staging=Staging(0.8)).frames
    make_video(source / "M003" / "video" / "front" / "happy" / "level_2" / "001.mp4", silent)
    make_sound(source / "M003" / "audio" / "happy" / "level_2" / "001.m4a", tone(2.4))
    prepare("mead", source, tmp_path / "set", SMALL)
    (row,) = read_rows(tmp_path / "set" / "manifest.parquet")
    assert (row["identity"], row["emotion"], row["intensity"], row["sound"]) == ("M003", "happy", 2, True)
    (clip,), _ = scan_folder(tmp_path / "set")
    assert (clip.emotion, clip.audio) == ("happy", True)


def test_the_clips_of_a_set_are_listed_without_being_opened(made, monkeypatch):
    asked = []
    monkeypatch.setattr("talkingface.data.folder.VideoReader", asked.append)
    clips, _ = scan_folder(made)
    assert [(clip.frames, clip.audio) for clip in clips] == [(60, True)] * 3
    assert asked == []
