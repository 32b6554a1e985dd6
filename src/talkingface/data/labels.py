"""What a control reader sees in real clips, for the square that parts are shown."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import track
from torch import Tensor

from talkingface.core.errors import MediaError
from talkingface.core.interfaces import ControlReader
from talkingface.data.folder import ClipFile

LABELS = ("landmarks", "pose", "expression")  # for keypoint losses and explicit representations


def labelled(clips: Sequence[ClipFile], reader: ControlReader) -> list[ClipFile]:
    """Clips with the landmarks and the head pose of every frame, and the expression where the reader measures it.

    Args:
        clips: real clips.
        reader: looks at each; what it sees in pictures it keeps on disk.

    Returns:
        The clips with labels; one that cannot be labelled is left out and named.

    Raises:
        MediaError: when that is so of every clip.
    """
    console = Console(stderr=True)
    shown = track(clips, "labelling clips", console=console, transient=True, disable=not console.is_terminal)
    found, reasons = [], []
    for clip in shown:
        try:
            seen = in_square(reader.read(clip.path), *clip.size)
        except MediaError as error:
            reasons.append(str(error))
            continue
        found.append(replace(clip, labels={name: seen[name] for name in LABELS if name in seen}))
    if not found:
        raise MediaError(f"not one of {len(clips)} clips can be labelled. The first of them: {reasons[0]}")
    for reason in reasons:
        rank_zero_info(f"  skipped {reason}")
    return found


def in_square(controls: dict[str, Tensor], width: int, height: int) -> dict[str, Tensor]:
    """Control tracks of a frame as fractions of its central square, the part that motion encoders are shown.

    Args:
        controls: with ``location`` as a fraction of the width, ``scale`` of the height, and ``landmarks`` of both.
        width, height: of the frame, in pixels.

    >>> wide = {"location": torch.tensor([0.75]), "scale": torch.tensor([0.5]), "landmarks": torch.ones(1, 68, 2)}
    >>> square = in_square(wide, 200, 100)
    >>> square["location"].item(), square["scale"].item(), square["landmarks"][0, 0].tolist()
    (1.0, 0.5, [1.5, 1.0])
    """
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return {
        **controls,
        "location": (controls["location"] * width - left) / side,
        "scale": controls["scale"] * (height / side),
        "landmarks": (controls["landmarks"] * torch.tensor([width, height]) - torch.tensor([left, top])) / side,
    }
