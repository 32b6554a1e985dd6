"""Motion of any length from windows of the trained length: each goes on from the end of the one before."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

WINDOW = 125  # frames, as trained (AniTalker, supplement 2.2: five seconds)
OVERLAP = 25  # frames


@dataclass(frozen=True)
class Window:
    """Frames that are generated together.

    Args:
        first: number of its first frame.
        frames: how many.
        known: how many of them, from the first on, the window before has made.
    """

    first: int
    frames: int
    known: int


def plan_windows(frames: int, length: int = WINDOW, overlap: int = OVERLAP) -> list[Window]:
    """Cover a number of frames with windows of one length.

    The last window is shifted back until it is full, so that only a sound shorter than a window has a shorter one.

    Args:
        frames: how many in all.
        length: of a window.
        overlap: least number of frames that a window shares with the one before.

    >>> [(window.first, window.frames, window.known) for window in plan_windows(240)]
    [(0, 125, 0), (100, 125, 25), (115, 125, 110)]
    >>> plan_windows(3)
    [Window(first=0, frames=3, known=0)]
    """
    windows = [Window(0, min(frames, length), 0)]
    while (end := windows[-1].first + windows[-1].frames) < frames:
        first = min(end - overlap, frames - length)
        windows.append(Window(first, length, end - first))
    return windows


Sample = Callable[[Window, Tensor, Tensor | None], Tensor]


def stream_motion(windows: Sequence[Window], start: Tensor, sample: Sample) -> Iterator[Tensor]:
    """Generate window after window; never more than two are held.

    Args:
        windows: as planned.
        start: motion ``(B, D)`` of the frame before the first.
        sample: makes ``(B, frames, D)`` from a window, the motion of the frame before it, and its known frames
            ``(B, known, D)``, which it repeats.

    Yields:
        Motion ``(B, n, D)`` of the frames that each window adds.
    """
    motion: Tensor | None = None
    for previous, window in itertools.pairwise([None, *windows]):
        assert window is not None
        prefix = None
        if previous is not None and motion is not None:
            offset = window.first - previous.first
            start, prefix = motion[:, offset - 1], motion[:, offset:]
        motion = sample(window, start, prefix)
        yield motion[:, window.known :]


def seam_ratio(motion: Tensor, windows: Sequence[Window]) -> float:
    """How far motion jumps where windows join: the largest step there over the median step of all frames.

    Args:
        motion: ``(T, D)``.
        windows: that it was made from, at least two.

    >>> import torch
    >>> seam_ratio(torch.arange(240.0)[:, None], plan_windows(240))
    1.0
    """
    steps = motion.diff(dim=0).norm(dim=-1)
    joints = [window.first + window.known - 1 for window in windows[1:]]
    return float(steps[joints].max() / steps.median())
