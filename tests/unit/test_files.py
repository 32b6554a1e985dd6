import os

import pytest

from talkingface.core.files import atomic_file, atomic_folder, write_text


def test_a_file_appears_when_the_block_ends(tmp_path):
    with atomic_file(tmp_path / "deep" / "a.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "new"


def test_the_part_has_the_same_suffix_so_that_encoders_know_the_format(tmp_path):
    with atomic_file(tmp_path / "a.mp4") as part:
        part.write_text("x")
        assert part.suffix == ".mp4"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half() -> None:
        with atomic_file(path) as part:
            part.write_text("ha")
            raise error

    with pytest.raises(error):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("first", "second"):
        with atomic_folder(tmp_path / "model") as part:
            (part / name).write_text(name)
    assert os.listdir(tmp_path / "model") == ["second"]
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_folder_leaves_the_old_one_and_nothing_else(tmp_path, error):
    with atomic_folder(tmp_path / "model") as part:
        (part / "old").write_text("old")

    def half() -> None:
        with atomic_folder(tmp_path / "model") as part:
            (part / "new").write_text("ha")
            raise error

    with pytest.raises(error):
        half()
    assert os.listdir(tmp_path / "model") == ["old"]
    assert os.listdir(tmp_path) == ["model"]


def test_text_is_written_as_utf8(tmp_path):
    write_text(tmp_path / "a.txt", "Äpfel → 面")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "Äpfel → 面"


def test_two_writers_of_one_file_do_not_share_a_part(tmp_path):
    with atomic_file(tmp_path / "a") as one, atomic_file(tmp_path / "a") as two:
        assert one != two
        one.write_text("1")
        two.write_text("2")
