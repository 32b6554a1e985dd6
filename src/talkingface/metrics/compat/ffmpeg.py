"""The ffmpeg commands of syncnet_python's ``run_pipeline`` and ``SyncNetInstance.evaluate``, word for word."""

import functools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from talkingface.core.errors import UnscorableError

RATE = 16000  # Hz


@functools.cache
def version() -> str:
    """Version of the ffmpeg on this machine, such as ``"5.1.9-0+deb12u1"``; its codecs are part of the score."""
    path = shutil.which("ffmpeg")
    if path is None:
        return "not on this machine"
    answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    return answer.stdout.split()[2] if answer.returncode == 0 else "unknown"


def to_avi(source: Path, target: Path) -> None:
    """Any video → MPEG-4 at quantiser 2 and 25 fps.

    No audio codec is named, so that it becomes MP3. Its encoder delays the sound (69 ms at 16 kHz, 23 ms at 48 kHz),
    and ffmpeg repeats one or two frames at the start for that: pictures and sound end up to a frame apart.
    """
    _run("-i", str(source), "-qscale:v", "2", "-async", "1", "-r", "25", str(target))


def to_pictures(video: Path, folder: Path, quality: int | None = None) -> list[Path]:
    """Every frame → JPEG.

    Args:
        video: the file.
        folder: made here.
        quality: quantiser; ``None`` is ffmpeg's own choice, which costs the crops decibels.

    Returns:
        The pictures, in order.
    """
    folder.mkdir()
    quantiser = [] if quality is None else ["-qscale:v", str(quality)]
    _run("-i", str(video), *quantiser, "-threads", "1", "-f", "image2", str(folder / "%06d.jpg"))
    return sorted(folder.glob("*.jpg"))


def to_wav(video: Path, target: Path, resync: bool = False) -> None:
    """Sound → 16 kHz mono, 16 bits.

    Args:
        video: the file.
        target: the wav.
        resync: ``-async 1``, as only the second program has it.
    """
    again = ["-async", "1"] if resync else []
    _run("-i", str(video), *again, "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", str(RATE), str(target))


def cut_wav(source: Path, start: float, end: float, target: Path) -> None:
    """Part of a wav, from ``start`` to ``end`` in seconds."""
    _run("-i", str(source), "-ss", f"{start:.3f}", "-to", f"{end:.3f}", str(target))


def join(video: Path, sound: Path, target: Path) -> None:
    """Put a video and a wav into one AVI, neither encoded again."""
    _run("-i", str(video), "-i", str(sound), "-c:v", "copy", "-c:a", "copy", str(target))


def write_xvid(frames: Iterable[Tensor], size: int, target: Path) -> None:
    """Write frames as OpenCV's ``VideoWriter`` with ``XVID`` does: MPEG-4, least quantiser 3, a key frame every 12.

    Measured against OpenCV 5: 37.2 dB both, on crops of a real clip.

    Args:
        frames: uint8 RGB ``(3, size, size)`` each.
        size: height and width, in pixels.
        target: the AVI.
    """
    pixels = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", "25", "-i", "-")
    codec = ("-c:v", "mpeg4", "-vtag", "XVID", "-pix_fmt", "yuv420p", "-b:v", "120M", "-qmin", "3", "-g", "12")
    command = [_program(), "-y", "-loglevel", "error", *pixels, *codec, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            for frame in frames:
                process.stdin.write(frame.movedim(0, -1).contiguous().numpy().tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg ended early, and says below why
        message = process.stderr.read().decode(errors="replace")
    _check(process.returncode, message)


def _program() -> str:
    path = shutil.which("ffmpeg")
    if path is None:
        raise UnscorableError("needs the program ffmpeg, which is not on this machine; install it (apt install ffmpeg)")
    return path


def _run(*arguments: str) -> None:
    command = [_program(), "-nostdin", "-y", "-loglevel", "error", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    _check(answer.returncode, answer.stderr)


def _check(status: int, message: str) -> None:
    if status != 0:
        lines = message.strip().splitlines() or [f"status {status}"]
        raise UnscorableError(f"cannot be converted by ffmpeg {version()} ({lines[-1].strip()})")
