"""Sound: any file with a sound track becomes mono float32 at one rate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.files import atomic_file
from talkingface.core.media.paths import check_suffix, input_file, writing
from talkingface.core.media.probe import opened

_WRITABLE = (".wav", ".flac", ".ogg")


def read_audio(path: str | Path, rate: int = 16000) -> NDArray[np.float32]:
    """Read sound, mixed down to one channel: the mean of all.

    The sound track of a video is aligned with its picture: sample 0 belongs to the start of the first frame.

    Args:
        path: wav, flac, ogg, mp3 (soundfile), or any container with a sound track (PyAV).
        rate: wanted rate, in Hz.

    Returns:
        Samples in ``[-1, 1]``, ``(samples,)``.

    Raises:
        MediaError: a missing, empty or damaged file, one without sound, or one whose samples are not numbers.
    """
    path = input_file(path)
    try:
        sound, native = soundfile.read(str(path), dtype="float32", always_2d=True)
        wave = _mean(sound.T)
    except soundfile.LibsndfileError:
        wave, native = _from_container(path)
    if not len(wave):
        raise MediaError(f"{path} holds zero samples of sound. Export it again.")
    count = len(wave)
    if native != rate:
        wave = soxr.resample(wave, native, rate)
    if not len(wave):
        raise MediaError(f"{path} holds {count} samples at {native} Hz, less than one at {rate} Hz. Give a longer one.")
    if not np.isfinite(wave).all():  # after resampling, which spreads NaN and can itself overflow
        raise MediaError(f"{path} holds samples that are NaN, infinite or beyond all measure. Export it again.")
    return np.clip(wave, -1.0, 1.0, out=np.asarray(wave, dtype=np.float32))


def _from_container(path: Path) -> tuple[NDArray[np.float32], int]:
    """Decode the first sound track with PyAV at its own rate, aligned with the picture if there is one."""
    with opened(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} has no sound track. Give a file with sound, or leave the audio out.")
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        picture = next((video.start_time for video in container.streams.video if video.start_time is not None), None)
        origin = float(picture * container.streams.video[0].time_base) if picture is not None else None  # type: ignore[operator]
        parts: list[NDArray[np.float32]] = []
        lead = 0
        for frame in _sound_frames(container):
            if not parts and origin is not None and frame.time is not None:
                lead = round((frame.time - origin) * rate)
            parts.append(_mean(frame.to_ndarray()))
    wave = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return (np.pad(wave, (lead, 0)) if lead > 0 else wave[-lead:]), rate


def _sound_frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """Frames of the first sound track as float; damaged packets are passed over, and a cut ends it."""
    stream = container.streams.audio[0]
    # Channels are kept: FFmpeg's own way to mono adds what they share, 3 dB for stereo and more for 5.1.
    planar = av.AudioResampler(format="fltp", rate=stream.codec_context.sample_rate)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, OSError):
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            yield from planar.resample(frame)
    yield from planar.resample(None)


def _mean(channels: NDArray[Any]) -> NDArray[np.float32]:
    """``(channels, samples)`` → ``(samples,)``."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number is reported in words
        return np.asarray(channels.mean(axis=0), dtype=np.float32)


def write_audio(path: str | Path, wave: NDArray[np.float32], rate: int = 16000) -> None:
    """Write mono sound, whole or not at all; wav and flac have 16 bits.

    Args:
        path: the file to make; its suffix names the format (wav, flac, ogg).
        wave: samples, ``(samples,)``; beyond ``[-1, 1]`` they are clipped.
        rate: in Hz.

    Raises:
        MediaError: an unknown suffix, no samples, a full disk.
        ShapeError: when the samples are no vector of finite numbers.
    """
    path = Path(path)
    check_suffix(path, _WRITABLE)
    check_wave(wave)
    if not len(wave):
        raise MediaError(f"{path}: there are zero samples to write.")
    with writing(path), atomic_file(path) as part:
        try:
            soundfile.write(str(part), np.clip(wave, -1.0, 1.0), rate)
        except soundfile.LibsndfileError as error:
            reason = str(error.error_string).rstrip(".")
            raise MediaError(f"{path} could not be written: {reason}. Check the free space and the rate.") from error


def check_wave(wave: NDArray[np.float32]) -> None:
    """Refuse anything but a vector of finite samples.

    Args:
        wave: the samples.

    Raises:
        ShapeError: naming what was found.
    """
    if wave.ndim != 1:
        raise ShapeError(f"wave has shape {wave.shape}, expected (samples,); mix the channels down first.")
    if not np.isfinite(wave).all():
        raise ShapeError("wave holds samples that are NaN or infinite.")
