"""Finding recipes: in the checkout, or where the package put them."""

import sys
from collections.abc import Iterator
from pathlib import Path

from talkingface.cli.usage import UsageError
from talkingface.core.errors import did_you_mean

SUFFIXES = (".yaml", ".yml")


def config_folders() -> Iterator[Path]:
    """Folders that hold ``recipes/``, ``data/`` and so on: the checkout's first, then the installed one."""
    checkout = Path(__file__).parents[3]
    for folder in (checkout / "configs", Path(sys.prefix) / "share" / "talkingface" / "configs"):
        if folder.is_dir():
            yield folder


def recipes() -> dict[str, Path]:
    """Every recipe by its bare name."""
    found: dict[str, Path] = {}
    for folder in config_folders():
        for path in sorted((folder / "recipes").glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def about(recipe: Path) -> str:
    """The comment at the head of a recipe, its first line."""
    with recipe.open(encoding="utf-8") as file:
        first = file.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def find_config(name: str) -> Path:
    """A configuration file by path, by path within the shipped ``configs/``, or by a recipe's bare name.

    Raises:
        UsageError: when there is none; the known recipes are listed, the nearest first.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.parts[:1] == ("configs",):
        for folder in config_folders():
            if (folder.parent / path).is_file():
                return folder.parent / path
    known = recipes()
    if name in known:
        return known[name]
    wanted = path.stem if path.suffix in SUFFIXES else name
    raise UsageError(f"there is no configuration file or recipe '{name}'; recipes: {did_you_mean(wanted, known)}.")
