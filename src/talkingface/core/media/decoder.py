"""Decode the frames of a video that are asked for, and no more, with PyAV, which reads all that FFmpeg does."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from talkingface.core.errors import MediaError
from talkingface.core.media.picture import BACKGROUND
from talkingface.core.media.probe import VideoIndex, decoded, opened, video_stream

_SKIPPABLE = {"h264", "hevc"}  # whose decoders can leave out frames on the way without harm


class _Skipper:
    """On the way to a frame, leaves out those before it that no other frame is predicted from."""

    def __init__(self, stream: VideoStream, able: bool) -> None:
        self.target = 0  # time stamp of the wanted frame
        self._context, self._able = stream.codec_context, able

    def __call__(self, packet: "av.Packet[VideoStream]") -> None:
        if self._able:
            early = packet.pts is not None and packet.pts < self.target
            self._context.skip_frame = "NONREF" if early else "DEFAULT"


class PyAVDecoder:
    """Gives stored frames by index, upright. A frame that does not decode shows the one before it.

    It has no threads: the workers of a data loader are parallel already, and a fork leaves threads behind.

    Args:
        index: the file's packet table.
    """

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        # One for all frames, since making one costs more than a small frame; without threads of its own.
        self._reformatter = VideoReformatter()
        self._context: AbstractContextManager[InputContainer] | None = None
        self._open()

    def _open(self) -> None:
        self.close()
        self._context = opened(self._index.source)
        self._container = self._context.__enter__()
        self._stream = video_stream(self._container, self._index.source)
        self._stream.codec_context.thread_count = 1
        self._skipper = _Skipper(self._stream, not self._index.counted and self._index.info.codec in _SKIPPABLE)
        self._frames = decoded(self._container, self._stream, self._skipper)
        self._shown: tuple[int, av.VideoFrame] | None = None  # the frame that is on the screen, and its index
        self._ahead: tuple[int, av.VideoFrame] | None = None  # the one decoded after it
        self._count = 0

    def _next(self) -> tuple[int, av.VideoFrame] | None:
        frame = next(self._frames, None)
        if frame is None:
            return None
        if self._index.counted:
            self._count += 1
            return self._count - 1, frame
        stamp = frame.pts if frame.pts is not None else -(2**62)
        return int(np.searchsorted(self._index.pts, stamp, side="right")) - 1, frame

    def _seek(self, wanted: int) -> None:
        """Go to the last key frame at or before ``wanted``, unless decoding on is as near."""
        keys = self._index.key_frames
        place = int(np.searchsorted(keys, wanted, side="right")) - 1
        key = int(keys[place]) if place >= 0 else 0
        here = self._ahead[0] if self._ahead else self._shown[0] if self._shown else -1
        behind = self._shown is not None and wanted < self._shown[0]
        if self._index.counted or key <= 0:
            if behind:
                self._open()
            return
        if not behind and key <= here + 1:
            return
        self._container.seek(int(self._index.pts[key]), stream=self._stream, backward=True)
        self._frames = decoded(self._container, self._stream, self._skipper)
        self._shown, self._ahead = None, self._next()
        if self._ahead is None or self._ahead[0] > wanted:  # the seek went wrong
            self._open()

    def _frame(self, wanted: int) -> av.VideoFrame:
        self._skipper.target = int(self._index.pts[wanted])
        self._seek(wanted)
        while self._ahead is None or self._ahead[0] <= wanted:
            if self._ahead is not None:
                self._shown = self._ahead
                if self._shown[0] == wanted:
                    self._ahead = None
                    break
            self._ahead = self._next()
            if self._ahead is None:
                break
        best = self._shown or self._ahead
        if best is None:
            raise MediaError(f"{self._index.info.path}: frame {wanted} cannot be decoded. Export the file again.")
        return best[1]

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)`` at ascending stored ``indices``.

        Raises:
            MediaError: when nothing can be decoded.
        """
        return np.stack([self._upright(self._frame(index)) for index in indices])

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        info = self._index.info
        turned = info.rotation in (90, 270)
        # A browser's recording may change its size on the way: every frame gets the size of the first.
        width, height = (info.height, info.width) if turned else (info.width, info.height)
        if any(component.is_alpha for component in frame.format.components):
            layered = self._pixels(frame, width, height, "rgba").astype(np.float32)
            share = layered[..., 3:] / 255.0
            page = np.asarray(BACKGROUND, np.float32)
            pixels = (layered[..., :3] * share + page * (1 - share)).round().astype(np.uint8)
        else:
            pixels = self._pixels(frame, width, height, "rgb24")
        return np.ascontiguousarray(np.rot90(pixels, info.rotation // 90)) if info.rotation else pixels

    def _pixels(self, frame: av.VideoFrame, width: int, height: int, kind: str) -> NDArray[np.uint8]:
        try:
            plain = self._reformatter.reformat(frame, width, height, kind, threads=1)
        except av.error.FFmpegError as error:  # a matrix such as YCgCo
            raise MediaError(
                f"{self._index.info.path} stores colours in a way that cannot be read ({error.strerror}). "
                "Export it again with BT.709 colours."
            ) from error
        return plain.to_ndarray().astype(np.uint8, copy=False)

    def close(self) -> None:
        """Free the file."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None
