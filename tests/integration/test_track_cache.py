"""The cache of tracks under two writers, and killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "track_run.py"
CLIPS = 6
FILES = 2 * CLIPS  # motion and speech of each


def start(folder: Path, log: str, seconds: float) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"TALKINGFACE_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(folder / log), str(CLIPS), str(seconds)], env=environment)


def done(folder: Path, log: str) -> list[str]:
    path = folder / log
    return [line.split()[1] for line in path.read_text().splitlines()] if path.exists() else []


def tracks(folder: Path) -> dict[str, bytes]:
    """Content of every file in the cache but those that a writer has not finished."""
    files = (folder / "tracks").rglob("*.npy")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The cache as one undisturbed process leaves it."""
    folder = tmp_path_factory.mktemp("alone")
    assert start(folder, "log", 0).wait(timeout=120) == 0
    assert done(folder, "log") == ["made"] * CLIPS
    return folder


def with_same_clips(alone: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "synthetic").symlink_to(alone / "synthetic")
    return folder


def test_two_writers_at_once_leave_what_one_would_have_left(alone, tmp_path):
    folder = with_same_clips(alone, tmp_path / "cache")
    writers = [start(folder, f"log{number}", 0.1) for number in range(2)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert tracks(folder) == tracks(alone)
    assert len(tracks(folder)) == FILES
    assert list((folder / "tracks").rglob(".*")) == []


def test_a_killed_writer_leaves_whole_files_and_the_next_encodes_the_rest(alone, tmp_path):
    folder = with_same_clips(alone, tmp_path / "cache")
    victim = start(folder, "killed", 0.3)
    deadline = time.monotonic() + 100
    while len(done(folder, "killed")) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # into the next clip
    victim.send_signal(signal.SIGKILL)
    assert victim.wait(timeout=60) == -signal.SIGKILL
    left, whole = tracks(folder), tracks(alone)
    assert 4 <= len(left) < FILES
    assert left.items() <= whole.items()

    finished = len(done(folder, "killed"))
    assert start(folder, "resumed", 0).wait(timeout=120) == 0
    found = done(folder, "resumed")
    assert found[:finished] == ["found"] * finished
    assert "made" in found
    assert tracks(folder) == whole
