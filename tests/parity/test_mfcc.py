"""Cepstral coefficients against python_speech_features 0.6."""

import wave
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from parity.conftest import REFERENCE
from talkingface.core.mfcc import (
    int16_values,
    mel_energies,
    mel_filters,
    mfcc,
    mfcc_windows,
    power_spectra,
)

FLOAT64 = 1e-9
SPEECH = REFERENCE / "metrics" / "oracles" / "speech_16k.wav"


@pytest.fixture(scope="module")
def numbers(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "mfcc")


@pytest.fixture(scope="module")
def speech() -> Tensor:
    if not SPEECH.is_file():
        pytest.skip(f"no {SPEECH}; set TALKINGFACE_REFERENCE to the reference folder")
    with wave.open(str(SPEECH)) as file:
        return torch.from_numpy(np.frombuffer(file.readframes(file.getnframes()), "<i2").copy())


def assert_near(name: str, ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    difference = ((ours - theirs).abs() / theirs.abs().clamp(min=1.0)).max().item()
    print(f"{name}: difference {difference:.2g}")
    assert difference < FLOAT64


def test_filters(numbers: Any) -> None:
    assert_near("filters", mel_filters(), numbers["filterbank"])


def test_speech(numbers: Any, speech: Tensor) -> None:
    spectra = power_spectra(speech)
    assert_near("power", spectra.sum(-1), numbers["energy"])
    assert_near("filter energies", mel_energies(spectra), numbers["fbank_raw"])
    assert_near("mfcc", mfcc(speech), numbers["mfcc"])
    assert_near("windows", mfcc_windows(mfcc(speech), 3), numbers["windows_first3"])


def test_synthetic_signal(numbers: Any) -> None:
    assert_near("mfcc", mfcc(numbers["synth_int16"]), numbers["synth_mfcc"])


def test_samples_between_minus_one_and_one_move_the_first_coefficient_by_20_794(numbers: Any, speech: Tensor) -> None:
    floats = speech.double() / 32768
    trap = mfcc(floats)
    assert_near("mfcc of unscaled samples", trap, numbers["mfcc_float_scaled"])
    shift = (trap - numbers["mfcc"])[numbers["energy"] > 1.0]  # digital silence stays what it is
    assert len(shift) > 600
    assert (shift[:, 0] + 2 * np.log(32768)).abs().max() < FLOAT64
    assert shift[:, 1:].abs().max() < FLOAT64
    assert_near("mfcc of samples scaled back", mfcc(int16_values(floats)), numbers["mfcc"])
