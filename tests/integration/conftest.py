"""What several tests of preparing share; a module whose videos differ has fixtures of its own under these names."""

from pathlib import Path

import pytest

from prepare_toys import SMALL, make_raw
from talkingface.prepare.run import prepare


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw videos, only to be read."""
    root = tmp_path_factory.mktemp("raw videos")
    make_raw(root)
    return root


@pytest.fixture(scope="session")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set that one process makes of them, not to be changed."""
    dst = tmp_path_factory.mktemp("made") / "set"
    prepare("folder", raw, dst, SMALL)
    return dst
