"""Frames of a video on an even time grid: at random, or streamed with flat memory."""

import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from talkingface.core.errors import MediaError
from talkingface.core.media.decoder import PyAVDecoder
from talkingface.core.media.decord_decoder import DecordDecoder, DecordError
from talkingface.core.media.memory import MediaBytes
from talkingface.core.media.probe import VideoInfo, index_video

_log = logging.getLogger(__name__)
_TOLERANCE = 1e-4  # seconds; time stamps of webm and mkv are rounded to milliseconds, ties are decided downwards

_OPEN: "weakref.WeakSet[VideoReader]" = weakref.WeakSet()


class VideoReader:
    """Read a video at an even rate, upright.

    Frame ``i`` of the grid shows the last stored frame whose time stamp, counted from the first frame, lies before the
    middle of the interval, ``start + (i + ½) / fps``. So a frame is never shown more than half an interval early,
    jitter of the time stamps neither doubles nor drops frames, and a pause holds its picture (the rule of FFmpeg's
    ``fps`` filter). The grid is as long as the video, to the nearest frame.

    Of a cut-off file, the frames that are there are read; one that does not decode shows the one before it.

    Frames at random come from decord where the file is one that it reads correctly (``VideoIndex.plain``), else, or as
    soon as decord stumbles, or where it is not installed, from PyAV; the pixels are the same. Frames in a row always
    come from PyAV: while they are consumed slowly, decord decodes ahead without bound (250 MB for a minute at 256 px).

    The file is examined when the reader is made and opened for decoding at the first read, in the process that reads:
    a reader may be pickled or forked before that and after.

    Args:
        path: any container that FFmpeg opens, on disk or in memory.
        fps: rate of the grid, in Hz; ``None`` for the stored frames one by one.
        start: where to begin, in seconds after the first frame.
        seconds: how long to read; ``None`` for all.

    Raises:
        MediaError: a missing, empty or damaged file, one without video, or a span that holds no frame.
    """

    def __init__(
        self, path: str | Path | MediaBytes, fps: float | None = 25.0, start: float = 0.0, seconds: float | None = None
    ) -> None:
        self._index = index_video(path)
        self._stored = _grid(self._index.times, self._index.info.seconds, fps, start, seconds)
        if not len(self._stored):
            raise MediaError(
                f"{path} lasts {self._index.info.seconds:.2f} s and has no frame from {start:.2f} s on"
                f"{'' if seconds is None else f' for {seconds:.2f} s'}. Choose another span."
            )
        self._trusts_decord = self._index.plain
        self._decord: DecordDecoder | None = None
        self._pyav: PyAVDecoder | None = None

    @property
    def info(self) -> VideoInfo:
        """Facts of the file, as stored."""
        return self._index.info

    def __len__(self) -> int:
        """Number of frames on the grid."""
        return len(self._stored)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames at any places of the grid, in the order asked for; one decoding pass, so ask for all at once.

        Args:
            indices: places in ``[0, len)``; negative ones count from the end.

        Returns:
            RGB ``(n, H, W, 3)``.

        Raises:
            MediaError: when nothing there can be decoded.
            IndexError: when a place is beyond the end.
        """
        if not len(indices):
            return np.empty((0, self.info.height, self.info.width, 3), np.uint8)
        wanted, inverse = np.unique(self._stored[np.asarray(indices)], return_inverse=True)
        frames = self._at_random(wanted.tolist())
        in_order = len(inverse) == len(wanted) and bool((inverse == np.arange(len(wanted))).all())
        return frames if in_order else frames[inverse]

    def _at_random(self, stored: list[int]) -> NDArray[np.uint8]:
        if self._trusts_decord:
            try:
                if self._decord is None:
                    self._decord = DecordDecoder(self._index)
                    _OPEN.add(self)
                return self._decord.read(stored)
            except DecordError as failure:
                _log.debug("PyAV takes over %s from decord: %s", self._index.info.path, failure)
                self._trusts_decord, self._decord = False, None
        return self._in_a_row(stored)

    def _in_a_row(self, stored: list[int]) -> NDArray[np.uint8]:
        if self._pyav is None:
            self._pyav = PyAVDecoder(self._index)
            _OPEN.add(self)
        return self._pyav.read(stored)

    def stream(self, batch: int = 16) -> Iterator[NDArray[np.uint8]]:
        """All frames of the grid in order, a few at a time.

        Args:
            batch: most frames at once.

        Yields:
            RGB ``(n, H, W, 3)`` with ``n`` up to ``batch``.
        """
        for first in range(0, len(self), batch):
            stored, repeats = np.unique(self._stored[first : first + batch], return_counts=True)
            yield np.repeat(self._in_a_row(stored.tolist()), repeats, axis=0)

    def close(self) -> None:
        """Free the decoders; reading opens them again."""
        for decoder in (self._decord, self._pyav):
            if decoder is not None:
                decoder.close()
        self._decord = self._pyav = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decord": None, "_pyav": None}


def _grid(
    times: NDArray[np.float64], total: float, fps: float | None, start: float, seconds: float | None
) -> NDArray[np.int64]:
    """Index of the stored frame that each frame of the grid shows."""
    stop = total if seconds is None else min(total, start + seconds)
    if fps is None:
        shown = (times >= start - _TOLERANCE) & (times < stop - _TOLERANCE)
        return np.flatnonzero(shown)
    if start < 0 or start >= total:
        return np.empty(0, np.int64)
    count = max(1, round((stop - start) * fps)) if stop > start else 0
    middles = start + (np.arange(count) + 0.5) / fps
    return np.maximum(np.searchsorted(times, middles - _TOLERANCE) - 1, 0)


def _forget_decoders() -> None:
    """In a forked process, open the file afresh: decord's threads stayed behind, and the inherited descriptor of PyAV
    shares its position with the parent's."""
    for reader in _OPEN:
        if reader._decord is not None:
            reader._decord.abandon()
        reader._decord = reader._pyav = None
    _OPEN.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forget_decoders)
