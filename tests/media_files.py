"""Small odd media files for tests, made with PyAV, and frames that carry their own number."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 7  # frame numbers below 128


def numbered(numbers: Sequence[int] | range, height: int = 64, width: int = 112) -> NDArray[np.uint8]:
    """Frames ``(n, H, W, 3)`` that show their number as black and white columns over grey, the highest bit first."""
    frames = np.full((len(numbers), height, width, 3), 128, np.uint8)
    column = width // BITS
    for frame, number in zip(frames, numbers, strict=True):
        for bit in range(BITS):
            shade = 255 if number >> (BITS - 1 - bit) & 1 else 0
            frame[: height // 2, bit * column : (bit + 1) * column] = shade
    return frames


def noise_pictures(count: int, height: int = 64, width: int = 112) -> NDArray[np.uint8]:
    """Frames ``(n, H, W, 3)`` of big blurred spots in all colours, no two alike."""
    coarse = np.random.default_rng(0).integers(0, 255, (count, height // 8, width // 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(page).resize((width, height))) for page in coarse])


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    """The numbers that :func:`numbered` drew, read back after lossy coding."""
    height, width = frames.shape[1:3]
    column = width // BITS
    upper = frames[:, : height // 2, : column * BITS].mean(axis=(1, 3)).reshape(len(frames), BITS, column).mean(axis=2)
    return [int("".join("1" if shade > 127 else "0" for shade in row), 2) for row in upper]


def make_video(
    path: Path,
    frames: NDArray[np.uint8],
    *,
    codec: str = "libx264",
    fps: int = 25,
    seconds: Sequence[float] | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: NDArray[np.float32] | None = None,
) -> Path:
    """Encode frames; ``seconds`` gives each its time stamp where they are not even."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        ticks = Fraction(1, 1000) if seconds is not None else Fraction(1, fps)
        stream.codec_context.time_base = ticks
        track = container.add_stream("aac", rate=16000, layout="mono") if sound is not None else None
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = round(seconds[index] * 1000) if seconds is not None else index
            frame.time_base = ticks
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None and sound is not None:
            container.mux(track.encode(_sound_frame(sound)))
            container.mux(track.encode())
    return path


def make_sound(path: Path, wave: NDArray[np.float32], codec: str = "aac", rate: int = 16000) -> Path:
    """Encode sound alone, mono ``(samples,)`` or stereo ``(2, samples)``."""
    layout = "mono" if wave.ndim == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = _sound_frame(wave, rate)
        for part in av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode())
    return path


def _sound_frame(wave: NDArray[np.float32], rate: int = 16000) -> av.AudioFrame:
    channels = np.atleast_2d(wave).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="mono" if len(channels) == 1 else "stereo")
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    return frame


def remux(source: Path, path: Path, rotation: int | None = None, hidden: int = 0) -> Path:
    """Copy a video: turned by a display matrix as phones do, or with an edit list that hides the first frames."""
    options = {"avoid_negative_ts": "disabled"} if hidden else {}
    with av.open(str(source)) as given, av.open(str(path), "w", options=options) as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        if rotation is not None:
            copy.set_display_rotation(rotation)
        shift = round(hidden / stream.average_rate / stream.time_base)
        for packet in given.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                made.mux(packet)
    return path


def tone(seconds: float, hertz: float = 440.0, rate: int = 16000) -> NDArray[np.float32]:
    """A sine of half amplitude."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
