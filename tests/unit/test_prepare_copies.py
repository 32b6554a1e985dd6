"""Copies of a file in a large set: only what looks alike is read."""

import os

import pytest

from talkingface.prepare import jobs
from talkingface.prepare.jobs import ENDS, find_copies
from talkingface.prepare.layouts import FolderLayout


def copies_in(root):
    found, count = find_copies(lambda: FolderLayout().sources(root))
    return {copy.name: original.name for copy, original in found.items()}, count


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read as a whole."""
    names, whole = [], jobs.sha256
    monkeypatch.setattr(jobs, "sha256", lambda path: names.append(path.name) or whole(path))
    return names


def test_only_files_of_one_size_with_the_same_ends_are_read_as_a_whole(tmp_path, read):
    head, tail = os.urandom(ENDS), os.urandom(ENDS)
    contents = {
        "a": head + b"middle" + tail,
        "b": head + b"centre" + tail,
        "c": head + b"middle" + tail,
        "d": tail + b"middle" + head,
        "e": head,
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.mp4").write_bytes(content)
    assert copies_in(tmp_path) == ({"c.mp4": "a.mp4"}, 5)
    assert read == ["a.mp4", "b.mp4", "c.mp4"]


def test_files_that_may_not_be_read_are_no_copies(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_bytes(b"same")
    allowed = os.access  # root may read everything
    monkeypatch.setattr(os, "access", lambda path, mode: "a.mp4" not in str(path) and allowed(path, mode))
    assert copies_in(tmp_path) == ({"c.mp4": "b.mp4"}, 3)
