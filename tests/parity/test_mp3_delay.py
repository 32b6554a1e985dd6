"""How the official chain delays sound, against the measured table; ffmpeg's codecs do it, so its version matters."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from parity.conftest import REFERENCE
from talkingface.core.mfcc import mfcc
from talkingface.metrics.compat import ffmpeg

ORACLES = REFERENCE / "metrics" / "oracles"
SPEECH = ORACLES / "speech_16k.wav"

pytestmark = [
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not on this machine"),
    pytest.mark.skipif(not SPEECH.is_file(), reason=f"no {SPEECH}; set TALKINGFACE_REFERENCE"),
]


def lag(sound: NDArray[np.int16], original: NDArray[np.int16]) -> int:
    """Samples by which ``sound`` comes later: the place of the greatest correlation."""
    size = 1 << (len(sound) + len(original)).bit_length()
    spectra = (np.fft.rfft(wave.astype(np.float64), size) for wave in (sound, original))
    correlation = np.fft.irfft(next(spectra) * np.conj(next(spectra)), size)
    best = int(correlation.argmax())
    return best if best < size // 2 else best - size


def through_the_chain(folder: Path, rate: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The speech at a sample rate beside some video, read directly, and as ``run_pipeline`` reads it."""
    clip = folder / "clip.mkv"
    video = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=8.311125"]
    codecs = ["-ar", str(rate), "-c:v", "ffv1", "-c:a", "pcm_s16le"]
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *video, "-i", str(SPEECH), *codecs, str(clip)], check=True)
    ffmpeg.to_wav(clip, folder / "direct.wav")
    ffmpeg.to_avi(clip, folder / "video.avi")
    ffmpeg.to_wav(folder / "video.avi", folder / "chain.wav")
    direct, chain = (soundfile.read(folder / name, dtype="int16")[0] for name in ("direct.wav", "chain.wav"))
    return direct, chain


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_delay_by_the_rate_of_the_input(tmp_path: Path, rate: int) -> None:
    wanted: dict[str, Any] = json.loads((ORACLES / "pit_audio.json").read_text())[str(rate)]
    direct, chain = through_the_chain(tmp_path, rate)
    assert lag(direct, soundfile.read(SPEECH, dtype="int16")[0]) == 0
    expected = wanted["run_pipeline(pcm in)->avi(mp3)->wav"]
    delay = lag(chain, direct)
    print(f"{rate} Hz: delay {delay} samples, {delay / 16:.2f} ms, {delay / 640:.3f} frames; ffmpeg {ffmpeg.version()}")
    assert delay == expected["lag_samples16k"]
    assert len(chain) == expected["nsamples"]


def test_error_of_the_coefficients_at_16_khz(tmp_path: Path) -> None:
    expected = json.loads((ORACLES / "pit_audio.json").read_text())["16000"]["run_pipeline(pcm in)->avi(mp3)->wav"]
    direct, chain = through_the_chain(tmp_path, 16000)
    delay = lag(chain, direct)

    def error(sound: NDArray[np.int16]) -> float:
        ours, theirs = mfcc(torch.from_numpy(sound)), mfcc(torch.from_numpy(direct))
        count = min(len(ours), len(theirs))
        return (ours[:count] - theirs[:count]).abs().mean().item()

    print(f"MFCC error {error(chain):.3f}, aligned {error(chain[delay:]):.3f}")
    assert error(chain) == pytest.approx(expected["mfcc_mae"], abs=1e-3)
    assert error(chain[delay:]) == pytest.approx(expected["mfcc_mae_aligned"], abs=1e-3)
