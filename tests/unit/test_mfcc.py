import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from talkingface.core import mfcc as module
from talkingface.core.mfcc import int16_values, mel_filters, mfcc, mfcc_windows, power_spectra


def slow_mfcc(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The definition, frame by frame and coefficient by coefficient."""
    emphasised = samples.copy()
    emphasised[1:] -= 0.97 * samples[:-1]
    count = 1 + max(0, math.ceil((len(samples) - 400) / 160))
    emphasised = np.pad(emphasised, (0, (count - 1) * 160 + 400 - len(samples)))
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * math.log10(1 + 8000 / 700), 28)]
    bins = [math.floor(513 * edge / 16000) for edge in edges]
    rows = []
    for frame in range(count):
        power = np.abs(np.fft.rfft(emphasised[frame * 160 : frame * 160 + 400], 512)) ** 2 / 512
        logs = []
        for left, middle, right in zip(bins, bins[1:], bins[2:], strict=False):
            rising = sum(power[k] * (k - left) / (middle - left) for k in range(left, middle))
            falling = sum(power[k] * (right - k) / (right - middle) for k in range(middle, right))
            logs.append(math.log(rising + falling))
        row = []
        for n in range(13):
            total = sum(logs[k] * math.cos(math.pi * n * (2 * k + 1) / 52) for k in range(26))
            row.append(math.sqrt(2 / 26) * total * (1 + 11 * math.sin(math.pi * n / 22)))
        row[0] = math.log(power.sum())
        rows.append(row)
    return np.array(rows)


def noise(length: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(-8000, 8000, length).astype(np.float64))


def test_the_definition() -> None:
    samples = noise(1500)
    assert np.abs(mfcc(samples).numpy() - slow_mfcc(samples.numpy())).max() < 1e-9


@pytest.mark.parametrize(("samples", "rows"), [(1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16000, 99)])
def test_number_of_rows(samples: int, rows: int) -> None:
    assert mfcc(noise(samples)).shape == (rows, 13)


def test_digital_silence_is_finite() -> None:
    silent = mfcc(torch.zeros(2000))
    assert silent.isfinite().all()
    assert silent[0, 0].item() == pytest.approx(math.log(2**-52))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mfcc(noise(5000))
    monkeypatch.setattr(module, "BLOCK", 7)
    torch.testing.assert_close(mfcc(noise(5000)), whole, atol=1e-12, rtol=1e-12)


def test_a_loud_sine_lies_in_its_filter() -> None:
    sine = 1000 * torch.sin(2 * math.pi * 1000 / 16000 * torch.arange(400, dtype=torch.float64))
    strongest = (power_spectra(sine) @ mel_filters().T).argmax()
    middles = mel_filters().argmax(-1) * 16000 / 512
    assert abs(middles[strongest].item() - 1000) < 100


def test_scaling_to_16_bits_is_exact_and_undone_by_a_file() -> None:
    values = torch.tensor([-32768, -1, 0, 1, 32767])
    assert int16_values(values.float() / 32768).tolist() == values.tolist()


def test_windows_are_a_video_frame_apart() -> None:
    coefficients = mfcc(noise(16000))
    windows = mfcc_windows(coefficients, 20)
    assert windows.shape == (20, 1, 13, 20)
    assert torch.equal(windows[3, 0], coefficients[12:32].T)
