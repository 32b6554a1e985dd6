"""``list --matrix``: which motion goes with which renderer and generator, read from the source without importing it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from talkingface import registry
from talkingface.cli import usage
from talkingface.cli.static import read_class

# what a renderer accepts without a bridge → trait of the motion encoders that have it
MADE_FOR = {"vector": "trunk", "keypoints": "keypoints"}
LEGEND = (
    "direct   the renderer is made for this motion",
    "bridge   a linear map, trained with the renderer, makes of this motion what it takes",
    "yes      the generator makes this motion",
)


@dataclass(frozen=True)
class MatrixCell:
    """One pair of parts.

    Args:
        motion: name of the motion representation.
        kind: ``"renderer"`` or ``"generator"``.
        part: name of the renderer or generator.
        how: ``"direct"`` or ``"bridge"`` for a renderer, ``"yes"`` for a generator; ``"refused"``.
        reason: why it is refused when it is built, else empty.
    """

    motion: str
    kind: Literal["renderer", "generator"]
    part: str
    how: Literal["direct", "bridge", "yes", "refused"]
    reason: str = ""


def matrix() -> list[MatrixCell]:
    """Every motion representation with every renderer and every generator of the registry."""
    cells = []
    for motion in registry.names("motion"):
        traits = _fact("motion", motion, "traits")
        for renderer in registry.names("renderer"):
            direct = MADE_FOR.get(_fact("renderer", renderer, "accepts")) in traits
            cells.append(MatrixCell(motion, "renderer", renderer, "direct" if direct else "bridge"))
        for generator in registry.names("generator"):
            missing = [trait for trait in _fact("generator", generator, "needs") if trait not in traits]
            reason = f"{generator} needs motion with: {', '.join(missing)}" if missing else ""
            cells.append(MatrixCell(motion, "generator", generator, "refused" if missing else "yes", reason))
    return cells


def write_matrix(as_json: bool) -> None:
    """Print the matrix."""
    cells = matrix()
    if as_json:
        usage.write_json([asdict(cell) for cell in cells])
        return
    columns = list(dict.fromkeys((cell.kind, cell.part) for cell in cells))
    rows = [["", *(kind for kind, _ in columns)], ["motion", *(part for _, part in columns)]]
    for motion in dict.fromkeys(cell.motion for cell in cells):
        found = {(cell.kind, cell.part): cell.how for cell in cells if cell.motion == motion}
        rows.append([motion, *(found[column] for column in columns)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = dict.fromkeys(f"refused  {cell.reason}" for cell in cells if cell.reason)
    usage.write("\n".join([*lines, "", *LEGEND, *reasons]))


def _fact(kind: str, name: str, fact: str) -> Any:
    """What a class says of itself; nothing, ``()``, where it does not or its source cannot be read."""
    text = read_class(registry.describe(kind, name).target)
    return () if text is None else text.facts.get(fact, ())
