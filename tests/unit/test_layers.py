"""Who may import whom (DESIGN, section 2), read from the source."""

import ast
from pathlib import Path

import pytest

import talkingface

ROOT = Path(talkingface.__file__).parent
GROUND = {"core", "registry", "hub", "weights", "_version"}
ROOMS = {"motion", "renderers", "audio", "generators", "diffusion", "losses", "metrics", "data"}
ALLOWED = {
    "core": {"core", "_version"},
    **{room: GROUND | {room} for room in ROOMS},
    "generators": GROUND | {"generators", "diffusion"},
    "convert": GROUND | ROOMS | {"convert"},
    "pipelines": GROUND | ROOMS | {"pipelines"},
    "controls": GROUND | {"controls", "metrics", "data"},
    "tasks": GROUND | ROOMS | {"tasks"},
    "evaluation": GROUND | {"evaluation", "metrics", "data"},
    "prepare": GROUND | {"prepare", "metrics", "data", "bench"},  # of the bench only its page
    "bench": GROUND | ROOMS | {"bench", "evaluation", "tasks", "pipelines"},
}


def imports_of(file: Path) -> set[str]:
    """Rooms of talkingface that a file imports; a relative import stays in its room."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("talkingface"):
            names = [node.module] if node.module != "talkingface" else [f"talkingface.{a.name}" for a in node.names]
            found |= {name.split(".")[1] for name in names if "." in name}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("talkingface.")}
    return found


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_lies_below_it(room):
    wrong = {
        str(file.relative_to(ROOT)): sorted(imports_of(file) - ALLOWED[room])
        for file in (ROOT / room).rglob("*.py")
        if imports_of(file) - ALLOWED[room]
    }
    assert wrong == {}


def test_the_reading_would_notice_a_forbidden_import(tmp_path):
    (tmp_path / "bad.py").write_text("import talkingface.tasks.optim\nfrom talkingface.cli import main\n")
    assert imports_of(tmp_path / "bad.py") == {"tasks", "cli"}


def test_every_room_has_its_rule():
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert rooms - set(ALLOWED) == {"cli"}  # on top: it may import everything
