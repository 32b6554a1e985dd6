"""Contact sheets of a prepared set: what was kept, and what each stage left out."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from talkingface.bench import page
from talkingface.core.errors import MediaError
from talkingface.core.images import resize
from talkingface.core.media import VideoReader, write_picture
from talkingface.data.folder import MANIFEST
from talkingface.prepare.manifest import DROPPED, read_rows

SHOWN = 24  # clips
LEFT_OUT = 8  # spans of each stage
COLUMNS = 8
THUMBNAIL = 128  # pixels
WHITE = 255


def clip_sheet(dst: Path, clips: int) -> str:
    """Middle frames of clips spread evenly over the set, as HTML.

    Args:
        dst: the set.
        clips: how many it has.
    """
    wanted = {round(place) for place in np.linspace(0, clips - 1, min(SHOWN, clips))} if clips else set()
    shown = []
    for number, row in enumerate(read_rows(dst / MANIFEST)):
        if number in wanted:
            with VideoReader(dst / row["path"]) as reader:
                shown.append(_thumbnail(reader.read([len(reader) // 2])[0]))
    return _sheet(shown, f"middle frames of {len(shown)} of {clips} clips") if shown else page.paragraph("no clip")


def left_out_sheets(dst: Path, src: Path) -> str:
    """For each stage the middle frames of the first spans that it left out, whole as they were filmed, as HTML.

    Args:
        dst: the set.
        src: what it was made of; a video that is no longer there is not shown.
    """
    spans: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read_rows(dst / DROPPED):
        if row["seconds"] and len(spans[row["stage"]]) < LEFT_OUT:
            spans[row["stage"]].append(row)
    sheets = []
    for stage, rows in sorted(spans.items()):
        shown = [picture for row in rows if (picture := _middle(src / row["source"], row)) is not None]
        if shown:
            sheets.append(_sheet(shown, f"left out by the stage '{stage}'"))
    return "".join(sheets) or page.paragraph("nothing that could be shown")


def _middle(path: Path, span: dict[str, Any]) -> NDArray[np.uint8] | None:
    try:
        with VideoReader(path, start=span["start"] + span["seconds"] / 2) as reader:
            return _thumbnail(reader.read([0])[0])
    except MediaError:
        return None


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame ``(H, W, 3)`` as a square of white with the whole of it in the middle."""
    height, width = frame.shape[:2]
    share = THUMBNAIL / max(height, width)
    size = max(1, round(height * share)), max(1, round(width * share))
    small = resize(torch.from_numpy(frame).movedim(-1, 0)[None].float(), size).round_().clamp_(0, 255).byte()
    square = np.full((THUMBNAIL, THUMBNAIL, 3), WHITE, np.uint8)
    top, left = (THUMBNAIL - size[0]) // 2, (THUMBNAIL - size[1]) // 2
    square[top : top + size[0], left : left + size[1]] = small[0].movedim(0, -1).numpy()
    return square


def _sheet(shown: Sequence[NDArray[np.uint8]], caption: str) -> str:
    filled = [*shown, *[np.full_like(shown[0], WHITE)] * (-len(shown) % COLUMNS)]
    lines = [np.concatenate(filled[first : first + COLUMNS], 1) for first in range(0, len(filled), COLUMNS)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.png"
        write_picture(path, np.concatenate(lines))
        return page.picture(path, caption)
