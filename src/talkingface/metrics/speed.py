"""How fast frames are made: frames a second, real-time factor, latency of the first frame, peak memory."""

import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from talkingface.core.errors import ConfigError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Speed:
    """One measurement, warm-up excluded.

    Args:
        frames: frames that were made.
        seconds: wall-clock time from the call to the last frame.
        first_frame_seconds: from the call to the first frame.
        fps: frames a second of the video that they are for.
        peak_memory_bytes: see ``memory``.
        memory: what the peak is of: ``"device"`` (allocated by torch on the GPU while measuring), ``"process"``
            (resident memory of the process while measuring, what it held before included) or ``"process lifetime"``
            (where the system cannot forget earlier peaks).
        warm_up: runs before the measured one, that compiled, cached and allocated.
        device: where it ran.
    """

    frames: int
    seconds: float
    first_frame_seconds: float
    fps: float
    peak_memory_bytes: int
    memory: str
    warm_up: int
    device: str

    @property
    def frames_per_second(self) -> float:
        """Frames made in a second."""
        return self.frames / self.seconds

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of video; below 1 is faster than real time."""
        return self.seconds * self.fps / self.frames


class SpeedMeter:
    """Measures something that makes frames.

    Args:
        fps: frames a second of the video that the frames are for.
        warm_up: runs before the measured one; they are not in the numbers.
        device: where the work is done; a GPU is waited for before a clock is read.

    >>> speed = SpeedMeter(warm_up=0).measure(lambda: [0] * 50)
    >>> speed.frames
    50
    """

    def __init__(self, fps: float = 25.0, warm_up: int = 1, device: str = "cpu") -> None:
        if fps <= 0 or warm_up < 0:
            raise ConfigError(f"fps {fps} and warm_up {warm_up}: fps must be above 0, warm_up 0 or more.")
        self.fps = fps
        self.warm_up = warm_up
        self.device = torch.device(device)

    def measure(self, produce: Callable[[], Iterable[Any]]) -> Speed:
        """Run it once, after the warm-up.

        Args:
            produce: begins the work; each item of what it returns is a frame. A tensor ``(T, …)`` counts as T frames
                of which the first is there when all are.

        Raises:
            ConfigError: when it makes no frame.
        """
        for _ in range(self.warm_up):
            for _ in produce():
                pass
        self._wait()
        memory = self._forget_peak()
        frames, first, end = 0, 0.0, 0.0
        start = time.perf_counter()
        for _ in produce():
            frames += 1
            if frames == 1:
                self._wait()
                first = time.perf_counter() - start
        self._wait()
        end = time.perf_counter() - start
        if frames == 0:
            raise ConfigError("no frame was made, so there is no speed to measure.")
        return Speed(frames, end, first, self.fps, self._peak(), memory, self.warm_up, str(self.device))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _forget_peak(self) -> str:
        """Start a new peak; returns what the peak will be of."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return "device"
        try:
            _CLEAR.write_text("5", encoding="ascii")  # Linux: sets the peak of resident memory to its present value
        except OSError:
            return "process lifetime"
        return "process"

    def _peak(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        if _STATUS.is_file():
            fields = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
            if "VmHWM" in fields:
                return int(fields["VmHWM"].split()[0]) * 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
