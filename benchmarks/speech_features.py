"""What speech encoders cost on one thread: CPU time for a second of speech, of the frozen and of the learned step.

    python benchmarks/speech_features.py [--sound SPEECH.wav] [--whisper FOLDER]

Without ``--sound`` noise is heard; the cost is the same.
"""

import argparse
import time
from collections.abc import Callable

import torch

from talkingface.audio import FeatureStream, MelSpeech, MFCCSpeech, SpeechEncoder, WhisperSpeech
from talkingface.core.media import read_audio

SECONDS = 30


def cost(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time, in seconds."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def measure(encoder: SpeechEncoder, wave: torch.Tensor) -> str:
    """One line of the table."""
    encoder.eval().features(wave[:, :16000])
    features = encoder.features(wave)
    frozen = cost(lambda: encoder.features(wave), 3) / SECONDS
    with torch.inference_mode():
        learned = cost(lambda: [encoder(part, 125) for part in features.split(5 * encoder.rate, 2)], 3) / SECONDS
    first = cost(lambda: FeatureStream(encoder, wave[0]).window(0, 125), 1)
    name = type(encoder).__name__
    return f"{name:14} {1000 * frozen:8.1f} ms/s {1000 * learned:8.1f} ms/s {1000 * first:10.0f} ms"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound", help="a file of speech; it is repeated to 30 s")
    parser.add_argument("--whisper", help="folder of a Whisper")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wave = torch.from_numpy(read_audio(options.sound)) if options.sound else 0.1 * torch.randn(16000)
    wave = wave.repeat(-(-SECONDS * 16000 // len(wave)))[None, : SECONDS * 16000]
    encoders: list[SpeechEncoder] = [MelSpeech(), MFCCSpeech()]
    encoders += [WhisperSpeech(weights=options.whisper)] if options.whisper else []
    print(f"{'':14} {'frozen step':>13} {'learned step':>13} {'first window':>13}")
    for encoder in encoders:
        print(measure(encoder, wave), flush=True)


if __name__ == "__main__":
    main()
