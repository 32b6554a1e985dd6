"""Motion of any length from windows that a generator can make: each goes on from the one before."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from talkingface.core.errors import ConfigError

WINDOW = 125  # frames, as trained (AniTalker, supplement 2.2: five seconds)
OVERLAP = 25  # frames


@dataclass(frozen=True)
class Window:
    """Frames that are generated together.

    Args:
        first: number of its first frame.
        frames: how many.
        known: how many of them, from the first on, the windows before have made.
        draft: how many of them, at the end, are made only so that those before them have a future; the next window
            makes them anew.
    """

    first: int
    frames: int
    known: int
    draft: int = 0

    @property
    def last(self) -> int:
        """Number of the frame behind its last one."""
        return self.first + self.frames


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
    [Window(first=0, frames=3, known=0, draft=0)]
    """
    windows = [Window(0, min(frames, length), 0)]
    while (end := windows[-1].last) < frames:
        first = min(end - overlap, frames - length)
        windows.append(Window(first, length, end - first))
    return windows


@dataclass(frozen=True)
class LivePlan:
    """Windows for speech whose end is not known yet: a few frames at a time, soon after they were spoken.

    A frame can be shown ``(hop - 1 + lookahead + ahead) / 25`` seconds after it was spoken at the latest, where the
    features of speech depend on ``ahead`` frames of sound after them; the time to compute a window comes on top, and
    must stay below ``hop / 25`` seconds, or the stream falls behind.

    Args:
        hop: frames that a window adds.
        lookahead: frames of speech beyond them that it hears; their motion is a draft.
        context: frames before them that it goes on from; fewer at the beginning of the speech.

    Raises:
        ConfigError: when no frame is added, or a window is longer than generators are trained with.

    >>> plan = LivePlan(hop=10, lookahead=5, context=20)
    >>> [plan.window(number) for number in (0, 1, 5)]  # doctest: +NORMALIZE_WHITESPACE
    [Window(first=0, frames=15, known=0, draft=5),
     Window(first=0, frames=25, known=10, draft=5),
     Window(first=30, frames=35, known=20, draft=5)]
    >>> plan.delay(ahead=1)
    0.6
    """

    hop: int = 8
    lookahead: int = 5
    context: int = OVERLAP

    def __post_init__(self) -> None:
        if self.hop < 1 or min(self.lookahead, self.context) < 0:
            raise ConfigError(
                f"a stream needs a hop of 1 frame or more, and lookahead and context of 0 or more; got hop {self.hop}, "
                f"lookahead {self.lookahead}, context {self.context}."
            )
        if (length := self.hop + self.lookahead + self.context) > WINDOW:
            raise ConfigError(
                f"hop {self.hop}, lookahead {self.lookahead} and context {self.context} make windows of {length} "
                f"frames; generators are trained with {WINDOW}. Take less of one of them."
            )

    def window(self, number: int, frames: int | None = None) -> Window:
        """One window.

        Args:
            number: counted from 0.
            frames: length of the whole speech where it is known; it must reach into the window.
        """
        begin = number * self.hop
        first = max(0, begin - self.context)
        end = begin + self.hop + self.lookahead
        last = end if frames is None else min(end, frames)
        return Window(first, last - first, begin - first, max(0, last - begin - self.hop))

    def windows(self, frames: int) -> list[Window]:
        """All windows of a speech of so many frames."""
        return [self.window(number, frames) for number in range(-(-frames // self.hop))]

    def delay(self, ahead: int) -> float:
        """Seconds from a spoken frame to the last sample that is needed to show it, at most.

        Args:
            ahead: frames of sound after a frame that its features depend on.
        """
        return (self.hop - 1 + self.lookahead + ahead) / 25


LIVE = LivePlan()

Sample = Callable[[Window, Tensor, Tensor | None], Tensor]


class MotionChain:
    """Motion made window after window; never more than two are held.

    Args:
        start: motion ``(B, D)`` of the frame before the first.
        sample: makes ``(B, frames, D)`` from a window, the motion of the frame before it, and its known frames
            ``(B, known, D)``, which it repeats.
    """

    def __init__(self, start: Tensor, sample: Sample) -> None:
        self._start = start
        self._sample = sample
        self._first = 0  # number of the first frame that is held
        self._motion = start[:, None, :][:, :0]  # of the window before, without its draft

    def extend(self, window: Window) -> Tensor:
        """Motion ``(B, n, D)`` of the frames that the next window adds."""
        passed = window.first - self._first
        if passed:
            self._start = self._motion[:, passed - 1]
        prefix = self._motion[:, passed:] if window.known else None
        motion = self._sample(window, self._start, prefix)
        self._first, self._motion = window.first, motion[:, : window.frames - window.draft]
        return self._motion[:, window.known :]


def stream_motion(windows: Iterable[Window], start: Tensor, sample: Sample) -> Iterator[Tensor]:
    """Motion ``(B, n, D)`` of the frames that each window adds, made when it is asked for; see :class:`MotionChain`."""
    chain = MotionChain(start, sample)
    for window in windows:
        yield chain.extend(window)


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
