import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

from talkingface.core.errors import ConfigError
from talkingface.metrics import Speed, SpeedMeter


def test_frames_are_counted_as_they_come():
    assert SpeedMeter().measure(lambda: iter(range(7))).frames == 7
    assert SpeedMeter().measure(lambda: torch.zeros(5, 3, 2, 2)).frames == 5


def test_the_warm_up_runs_before_and_is_not_counted():
    runs = []

    def produce() -> list[int]:
        runs.append(1)
        return [0, 0, 0]

    speed = SpeedMeter(warm_up=2).measure(produce)
    assert (len(runs), speed.frames, speed.warm_up) == (3, 3, 2)


def test_a_slow_warm_up_does_not_slow_the_result():
    runs = []

    def produce() -> Iterator[int]:
        if not runs:
            time.sleep(0.3)
        runs.append(1)
        yield 0

    assert SpeedMeter(warm_up=1).measure(produce).seconds < 0.3


def test_the_first_frame_is_timed_apart():
    def produce() -> Iterator[int]:
        time.sleep(0.05)
        yield 0
        time.sleep(0.1)
        yield 1

    speed = SpeedMeter(warm_up=0).measure(produce)
    assert 0.05 <= speed.first_frame_seconds <= speed.seconds - 0.1


def test_rates_follow_from_frames_and_seconds():
    speed = Speed(50, 4.0, 0.5, 25.0, 0, "process", 1, "cpu")
    assert speed.frames_per_second == 12.5
    assert speed.real_time_factor == 2.0  # four seconds of work for two seconds of video


def test_the_peak_of_memory_is_that_of_the_measured_run():
    code = """
import json, torch
from talkingface.metrics import SpeedMeter

def hungry():
    return [int(torch.ones(40_000_000).sum())]  # 160 MB

runs = [SpeedMeter(warm_up=0).measure(run) for run in (lambda: [0], hungry, lambda: [0])]
print(json.dumps([[run.peak_memory_bytes for run in runs], runs[1].memory]))
"""  # in a process of its own: one that has run other tests holds freed memory, and the peak does not rise
    answer = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    (small, large, after), memory = json.loads(answer.stdout)
    assert large - small > 100e6
    assert memory in ("process", "process lifetime")
    if memory == "process":  # the system can forget earlier peaks
        assert large - after > 100e6


def test_where_earlier_peaks_cannot_be_forgotten_the_result_says_so(monkeypatch, tmp_path):
    from talkingface.metrics import speed

    monkeypatch.setattr(speed, "_CLEAR", tmp_path / "absent" / "clear_refs")
    monkeypatch.setattr(speed, "_STATUS", tmp_path / "absent" / "status")
    found = SpeedMeter(warm_up=0).measure(lambda: [0])
    assert found.memory == "process lifetime"
    assert found.peak_memory_bytes > 50e6


def test_nothing_made_is_an_error():
    with pytest.raises(ConfigError, match="no frame"):
        SpeedMeter().measure(list)


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"warm_up": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        SpeedMeter(**wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none")
def test_on_a_gpu_the_memory_of_the_device_is_measured():
    def produce() -> list[torch.Tensor]:
        return [torch.ones(25_000_000, device="cuda").mean()]

    speed = SpeedMeter(device="cuda").measure(produce)
    assert speed.memory == "device"
    assert 100e6 <= speed.peak_memory_bytes < 2e9
