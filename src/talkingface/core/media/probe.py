"""What a video file holds, and when each of its frames is shown; read from the packets, without decoding them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from talkingface.core.errors import MediaError
from talkingface.core.media.memory import MediaBytes
from talkingface.core.media.paths import input_file

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mkv", ".avi", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".flv", ".wmv", ".ogv"),
)

# Containers whose time stamps or seeking cannot be trusted: frames are counted from the start instead.
# AVI has decoding times only, GIF frames build on each other, programme and transport streams have no index.
_COUNTED = {"avi", "gif", "mpeg", "mpegts", "apng"}
# Everyday files, where decord was checked against PyAV to give the same pixels. WebM is none of them, because a
# browser's recording may change its size on the way.
_PLAIN_CONTAINERS = {"mov", "mp4"}
_PLAIN_CODECS = {"h264", "hevc", "mpeg4"}
_PLAIN_PIXELS = {"yuv420p", "yuvj420p"}
_PLAIN_MATRICES = {1, 2, 5, 6, 9}  # BT.709, none named (both read BT.601), BT.601 twice, BT.2020; as FFmpeg counts them


@dataclass(frozen=True)
class VideoInfo:
    """Facts of a video file.

    Attributes:
        path: the file; of one in memory its name.
        frames: number of frames as stored.
        fps: mean frame rate as stored, in Hz.
        seconds: from the start of the first frame to the end of the last.
        width, height: of the upright picture with square pixels, in pixels.
        rotation: degrees that the stored frames are turned counter-clockwise to stand upright.
        audio: whether there is a sound track.
        codec: name of the video codec, as FFmpeg has it.
        interlaced: whether each frame holds two moments, line by line; they are read as they are stored.
    """

    path: Path
    frames: int
    fps: float
    seconds: float
    width: int
    height: int
    rotation: int
    audio: bool
    codec: str
    interlaced: bool


@dataclass(frozen=True)
class VideoIndex:
    """Everything a decoder needs to find a frame.

    Attributes:
        info: facts of the file.
        source: the file, for decoders to open.
        pts: time stamp of each shown frame in display order, in ticks of the stream, ``(frames,)``.
        times: the same in seconds since the first frame, ``(frames,)``.
        key_frames: indices of frames where decoding may start.
        counted: whether frames must be counted from the start, because time stamps or seeking cannot be trusted.
        plain: whether decord reads it correctly: on disk, whole, 8-bit 4:2:0 H.264, HEVC or MPEG-4 in mp4 or mov,
            progressive, upright, with square pixels and closed groups of pictures, and nothing hidden by an edit list.
    """

    info: VideoInfo
    source: Path | MediaBytes
    pts: NDArray[np.int64]
    times: NDArray[np.float64]
    key_frames: NDArray[np.int64]
    counted: bool
    plain: bool


@dataclass(frozen=True)
class _PacketTable:
    """Time stamps of the shown frames in display order, of the key frames, and the last frame's duration, in ticks."""

    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    last: int
    orderly: bool  # whole, all of it shown, and no frame needs one from before the key frame it follows


@contextmanager
def opened(path: Path | MediaBytes) -> Iterator[InputContainer]:
    """Open a container, with one clear line when it is none.

    Args:
        path: an existing file, or one in memory.

    Raises:
        MediaError: when FFmpeg knows no such format.
    """
    try:
        container = av.open(BytesIO(path.content) if isinstance(path, MediaBytes) else str(path), "r")
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{path} is not a video or sound file that can be read, or is cut off ({reason}). Export it again as mp4."
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer, path: Path | MediaBytes) -> VideoStream:
    """First stream of moving pictures; a cover picture of a sound file is none.

    Args:
        container: the open file.
        path: named in the message.

    Raises:
        MediaError: when the file holds only sound, or is a still picture.
    """
    name = container.format.name
    if name.endswith("_pipe") or name in ("image2", "tty"):
        kind = "text" if name == "tty" else "a picture"
        raise MediaError(f"{path} is {kind}, not a video. Give an mp4, mov, webm, mkv, avi or gif file.")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise MediaError(f"{path} has sound but no video. Give a file with moving pictures, or use it as the audio.")
    raise MediaError(f"{path} has no video stream. Export it again as mp4.")


def index_video(path: str | Path | MediaBytes) -> VideoIndex:
    """Read the packet table of a video and decode its first frame.

    Args:
        path: any container that FFmpeg opens.

    Raises:
        MediaError: a missing, empty or damaged file, one without video, or one of which no frame decodes.
    """
    path = path if isinstance(path, MediaBytes) else input_file(path)
    with opened(path) as container:
        stream = video_stream(container, path)
        table = _packet_table(container, stream)
    pts, last = table.pts, table.last
    if not len(pts):
        raise MediaError(f"{path} holds zero video frames. It is cut off or was never finished; export it again.")
    with opened(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_count = 1  # starting threads takes longer than one frame
        first = next(decoded(container, stream), None)
        if first is None:
            raise MediaError(f"{path}: not one frame can be decoded. The file is damaged; export it again.")
        counted = bool(set(container.format.name.split(",")) & _COUNTED)
        pixel = stream.sample_aspect_ratio or 1
        width, height = round(first.width * float(pixel)) or first.width, first.height
        rotation = round(first.rotation / 90) * 90 % 360  # phones turn by quarters
        if rotation in (90, 270):
            width, height = height, width
        codec = stream.codec_context.codec.canonical_name
        plain = (
            table.orderly
            and isinstance(path, Path)
            and pixel == 1
            and rotation == 0
            and not first.interlaced_frame
            and stream.codec_context.pix_fmt in _PLAIN_PIXELS
            and first.colorspace in _PLAIN_MATRICES
            and codec in _PLAIN_CODECS
            and bool(set(container.format.name.split(",")) & _PLAIN_CONTAINERS)
        )
        base = float(stream.time_base or 1)
        if stream.duration and container.format.name == "avi":  # an even rate, whatever the stamps say
            times, last = np.arange(len(pts), dtype=np.float64) * (float(stream.duration) * base / len(pts)), 0
        else:
            times = (pts - pts[0]).astype(np.float64) * base
        seconds = float(times[-1]) + _last_duration(times, last * base)
        audio = bool(container.streams.audio)
    interlaced = bool(first.interlaced_frame)
    info = VideoInfo(
        Path(str(path)), len(pts), len(pts) / seconds, seconds, width, height, rotation, audio, codec, interlaced
    )
    return VideoIndex(info, path, pts, times, np.searchsorted(pts, table.keys), counted, plain)


def _packet_table(container: InputContainer, stream: VideoStream) -> _PacketTable:
    stamps: dict[int, int] = {}  # time stamp → duration
    keys: set[int] = set()
    key, stored, orderly = 2**62, 0, True  # a file that does not begin with a key frame is not orderly
    try:
        for packet in container.demux(stream):
            stored += packet.size > 0
            stamp = packet.pts if packet.pts is not None else packet.dts
            # neither the flush at the end nor what an edit list hides
            if packet.size and stamp is not None and not packet.is_discard:
                stamps[stamp] = packet.duration or 0
                if packet.is_keyframe:
                    keys.add(stamp)
                    key = stamp
                orderly = orderly and stamp >= key and not packet.is_corrupt
    except (av.error.FFmpegError, OSError):
        orderly = False  # cut off: what was there before is used
    orderly = orderly and len(stamps) == stored and stream.frames in (0, stored)  # fragments do not say how many
    pts = np.array(sorted(stamps), dtype=np.int64)
    last = stamps[int(pts[-1])] if len(pts) else 0
    return _PacketTable(pts, np.array(sorted(keys), dtype=np.int64), last, orderly)


def decoded(
    container: InputContainer, stream: VideoStream, prepare: Callable[["av.Packet[VideoStream]"], None] | None = None
) -> Iterator[av.VideoFrame]:
    """Frames in display order from where the container stands; damaged packets are passed over, and a cut ends it.

    Args:
        container: the open file.
        stream: one of its video streams.
        prepare: is shown each packet before it is decoded.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, OSError):
            return
        if prepare is not None:
            prepare(packet)
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


def _last_duration(times: NDArray[np.float64], stated: float) -> float:
    """How long the last frame is shown: as stated, else as long as a frame on average, else one of 25 fps."""
    usual = float(times[-1]) / (len(times) - 1) if len(times) > 1 else 0.0
    return stated if stated > 0 else usual if usual > 0 else 0.04


def probe_video(path: str | Path) -> VideoInfo:
    """Facts of a video file; its first frame is decoded, so that an unusable file is found out here.

    Args:
        path: any container that FFmpeg opens.

    Raises:
        MediaError: a missing, empty or damaged file, or one without video.
    """
    return index_video(path).info


def is_video(path: str | Path) -> bool:
    """Whether a file holds moving pictures: by its suffix where that is known, else by its content.

    Args:
        path: the file; a gif counts as a video when it has more than one frame.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    try:
        with Image.open(path) as picture:
            return suffix == ".gif" and int(getattr(picture, "n_frames", 1)) > 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        pass
    try:
        with opened(input_file(path)) as container:
            video_stream(container, path)
            return True
    except MediaError:
        return False
