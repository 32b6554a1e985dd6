"""Write frames as H.264, with sound as AAC beside them, one batch at a time."""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.files import atomic_file
from talkingface.core.media.audio import check_wave, read_audio
from talkingface.core.media.paths import check_suffix, writing

_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
_AAC_BLOCK = 1024  # samples of one AAC frame
# Where rows of macroblocks are no multiple of eight, x264's macroblock tree reads beyond their end, and the same frames
# give another file each time (seen at 112 to 224 pixels with x264 of PyAV 17).
_WHOLE_BLOCKS = 128  # pixels
_BT709 = 1  # FFmpeg's number for the matrix, primaries and transfer of BT.709


class VideoWriter:
    """Stream frames into a video that appears whole or not at all.

    The sound is cut at the end of the video, or followed by silence up to it. An odd height or width is made even by
    repeating the last row or column, as 4:2:0 chroma wants. Key frames are a second apart, so that random reading
    stays cheap, and the table of contents is in front, so that a browser plays at once.
    The same frames give the same file, byte for byte.

    Args:
        path: mp4, m4v, mov or mkv.
        fps: frames a second.
        audio: samples ``(samples,)`` in ``[-1, 1]``, or a file with sound; ``None`` for a silent video.
        sample_rate: of ``audio`` and of the sound track, in Hz.
        crf: quality of x264, 0 (lossless) to 51; 18 is hard to tell from the original.

    Attributes:
        frames_written: number of frames so far.

    Raises:
        MediaError: an unknown suffix, unreadable sound, no frames at the end, a full disk.
        ShapeError: frames of another kind, or of another size than the first ones.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float = 25.0,
        audio: NDArray[np.float32] | str | Path | None = None,
        sample_rate: int = 16000,
        crf: int = 18,
    ) -> None:
        self.path = Path(path)
        check_suffix(self.path, _SUFFIXES)
        if isinstance(audio, (str, Path)):
            audio = read_audio(audio, sample_rate)
        elif audio is not None:
            check_wave(audio)
        self.frames_written = 0
        self._rate = Fraction(fps).limit_denominator(1001)
        self._wave = audio
        self._sample_rate = sample_rate
        self._crf = crf
        self._sound_written = 0  # samples
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None  # height, width

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        with writing(self.path):
            part = self._stack.enter_context(atomic_file(self.path))
            try:
                # The full disk of the last moment shows when the container is closed.
                self._container = av.open(str(part), "w", options={"movflags": "+faststart"})
            except BaseException:
                self._stack.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard(kind, error, trace)
            return
        try:
            with writing(self.path):
                self._finish()
        except BaseException as failure:
            self._discard(type(failure), failure, failure.__traceback__)
            raise
        with writing(self.path):
            self._stack.close()

    def _finish(self) -> None:
        if not self.frames_written:
            raise MediaError(f"{self.path}: zero frames were written, so there is no video to make.")
        self._container.mux(self._video.encode())
        if self._wave is not None:
            self._write_sound(to_the_end=True)
            self._container.mux(self._sound.encode())
        self._container.close()

    def _discard(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close without finishing and remove the part; what went wrong first is what counts."""
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError, ValueError):
            pass
        finally:
            self._stack.__exit__(kind, error, trace)

    def write(self, frames: NDArray[np.uint8]) -> None:
        """Append frames.

        Args:
            frames: RGB uint8 ``(n, H, W, 3)``, or ``(H, W, 3)`` for one.

        Raises:
            MediaError: a full disk.
            ShapeError: another type or shape, or another size than the first frames.
        """
        if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-1] != 3 or 0 in frames.shape[-3:]:
            raise ShapeError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (n, H, W, 3) or (H, W, 3).")
        size = (frames.shape[-3], frames.shape[-2])
        if self._size is None:
            self._size = size
            self._add_streams(*size)
        if size != self._size:
            height, width = self._size
            raise ShapeError(
                f"{self.path}: frame {self.frames_written} is {size[1]}×{size[0]}, the ones before it are "
                f"{width}×{height}. Resize it first."
            )
        with writing(self.path):
            for picture in frames if frames.ndim == 4 else frames[None]:
                self._write_frame(picture)
                if self._wave is not None:
                    self._write_sound()

    def _add_streams(self, height: int, width: int) -> None:
        options = {"crf": str(self._crf), "g": str(max(1, round(self._rate)))}
        if width % _WHOLE_BLOCKS:
            options["mbtree"] = "0"
        self._video = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = 1 / self._rate
        # Said aloud, because players guess the matrix of an untagged file from its size.
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        if self._wave is not None:
            self._sound = self._container.add_stream("aac", rate=self._sample_rate, layout="mono")

    def _write_frame(self, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = self._reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1)
        frame.pts = self.frames_written
        frame.time_base = 1 / self._rate
        self._container.mux(self._video.encode(frame))
        self.frames_written += 1

    def _write_sound(self, to_the_end: bool = False) -> None:
        """Encode the sound up to the picture, in whole AAC frames, so that both interleave."""
        assert self._wave is not None
        due = round(self.frames_written / self._rate * self._sample_rate)
        while self._sound_written + _AAC_BLOCK <= due or (to_the_end and self._sound_written < due):
            block = np.zeros((1, min(_AAC_BLOCK, due - self._sound_written)), np.float32)
            samples = self._wave[self._sound_written : self._sound_written + block.shape[1]]
            block[0, : len(samples)] = np.clip(samples, -1.0, 1.0)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._sound_written
            frame.time_base = Fraction(1, self._sample_rate)
            self._container.mux(self._sound.encode(frame))
            self._sound_written += block.shape[1]
