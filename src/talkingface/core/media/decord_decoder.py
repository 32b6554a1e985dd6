"""Decode frames at random with decord, the reader of the field, for everyday files only (``VideoIndex.plain``).

There it gives each frame that is asked for, with the pixels of PyAV, not one grey level apart
(``tests/unit/test_media_decord.py``). It is not the cheaper of the two (``benchmarks/loader.py``): two frames at random
of a 256 px H.264 clip take 8 ms of processor time with it and 6 ms with PyAV, opening included 25 and 18 ms, and an
open reader holds 33 MB instead of 2, at 1080p 270 instead of 30.

Elsewhere it goes wrong without a word: it confuses the frames of open groups of pictures, of AVI and of edit lists, and
takes 10-bit samples for 8-bit ones; it does not open AV1, GIF or MPEG-TS.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingface.core.media.probe import VideoIndex


class DecordError(Exception):
    """decord is not there, or cannot read a file; PyAV takes over, so this never reaches the user."""


class DecordDecoder:
    """Gives stored frames by index.

    It lives in the process that opened it: it has threads, which a fork leaves behind, so that a read hangs there.

    Args:
        index: packet table of a plain file.

    Raises:
        DecordError: when decord is not installed or refuses the file.
    """

    def __init__(self, index: VideoIndex) -> None:
        try:
            import decord
        except (ImportError, OSError, RuntimeError) as error:  # not built for this machine, or its library is lost
            raise DecordError(str(error)) from error
        decord.logging.set_level(decord.logging.QUIET)  # what it stumbles over, PyAV reads
        # LimitReached is no DECORDError; RuntimeError and AssertionError are its answers to a file that does not open
        limit = decord._ffi.base.DECORDLimitReachedError
        self._errors = (decord.DECORDError, limit, RuntimeError, AssertionError)
        try:
            self._reader: Any = decord.VideoReader(str(index.info.path), num_threads=1)
        except self._errors as error:
            raise DecordError(str(error)) from error
        if len(self._reader) != index.info.frames:
            raise DecordError(f"decord counts {len(self._reader)} frames, the packets {index.info.frames}")

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)`` at ascending stored ``indices``.

        Raises:
            DecordError: when one does not decode.
        """
        try:
            frames = self._reader.get_batch(list(indices))
        except self._errors as error:
            raise DecordError(str(error)) from error
        # a script that has set a bridge gets tensors of that library
        return np.asarray(frames.asnumpy() if hasattr(frames, "asnumpy") else frames, dtype=np.uint8)

    def close(self) -> None:
        """Free the file."""
        self._reader = None

    def abandon(self) -> None:
        """Let go of it in a forked process, where freeing it would wait for ever for the threads left behind."""
        self._reader._handle = None
        self._reader = None
