"""What several test folders share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from talkingface import registry
from talkingface.core import component

PLUGIN = Path(__file__).parent / "plugin_dist"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The toy distribution is installed: its folder is on the path, in this process and in those it starts."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    for cached in (registry._table, component.trusted_packages):
        cached.cache_clear()
    yield PLUGIN
    for cached in (registry._table, component.trusted_packages):
        cached.cache_clear()
