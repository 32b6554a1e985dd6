"""Contact sheet of synthetic heads for the README."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from talkingface.core.files import atomic_file

from .expression import emotion_offset, vector
from .render import render_frame

# yaw, pitch, roll, and an emotion at intensity 3 or single expression parameters
COLUMNS: tuple[tuple[tuple[float, float, float], str | dict[str, float]], ...] = (
    ((0, 0, 0), "neutral"),
    ((-25, 3, -4), {"jaw": 0.75, "lip_part": 0.4}),
    ((24, -6, 5), {"jaw": 0.2, "rounding": 1.0, "lip_width": -0.5}),
    ((6, 4, -8), "happy"),
    ((-8, 8, 4), "sad"),
    ((10, 0, 3), "angry"),
    ((-4, -6, 0), "surprised"),
    ((14, -2, -5), "disgusted"),
    ((-12, 2, 6), {"blink_left": 1.0, "blink_right": 1.0, "smile": 0.3}),
)


def contact_sheet(
    path: str | Path,
    identities: int = 8,
    columns: Sequence[tuple[tuple[float, float, float], str | dict[str, float]]] = COLUMNS,
    size: int = 128,
) -> None:
    """Draw identities (rows) in several poses, expressions and emotions (columns) into one picture.

    Args:
        path: PNG or JPEG file to write.
        identities: the first so many identities.
        columns: pose in degrees, with the name of an emotion or expression parameters.
        size: of one picture in pixels.
    """
    rows = []
    for identity in range(identities):
        cells = []
        for pose, look in columns:
            expression = emotion_offset(look, 3) if isinstance(look, str) else vector(**look)
            cells.append(render_frame(identity, pose, scale=0.41, expression=expression, size=size)[0])
        rows.append(np.concatenate(cells, axis=1))
    picture = Image.fromarray(np.concatenate(rows, axis=0))
    with atomic_file(path) as part:
        picture.save(part)
