"""What speech features lose when they wait for less sound than they depend on.

    python benchmarks/live_features.py --speech FILE [--encoder whisper] [--weights DIR] [--seconds 9] [--hop 25]

Live features beside those of the whole sound, for several times that are heard ahead: how far they are off (root mean
square, over the deviation of the features, each layer and channel about its mean), for all frames and for the last one
of each window.
"""

import argparse
import sys

import torch
from torch import Tensor

from talkingface import registry
from talkingface.audio import LiveFeatures, SpeechEncoder
from talkingface.core.media import read_audio
from talkingface.pipelines.windows import LivePlan

AHEAD = (0, 3, 6, 12, 25, 75)  # frames of 40 ms


def live(encoder: SpeechEncoder, wave: Tensor, hop: int, ahead: int) -> Tensor:
    """Features ``(L, Ta, C)`` as windows of ``hop`` frames find them."""
    features = LiveFeatures(encoder, ahead)
    features.push(wave)
    features.finish()
    windows = LivePlan(hop, 0, 0).windows(features.frames)
    return torch.cat([features.window(window.first, window.frames) for window in windows], dim=2)[0]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--speech", required=True, help="what is heard")
    add("--encoder", default="whisper", help="name in the registry")
    add("--weights", help="folder of its network (default: it is looked for)")
    add("--seconds", type=int, default=9, help="of speech")
    add("--hop", type=int, default=25, help="frames of a window")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"weights": options.weights} if options.weights else {}
    encoder = registry.load("audio", options.encoder)(blocks=0, **settings)
    wave = torch.from_numpy(read_audio(options.speech))[: options.seconds * 16000]
    whole = encoder.features(wave[None])[0]
    deviation = (whole - whole.mean(1, keepdim=True)).square().mean().sqrt()
    steps = encoder.rate // 25
    sys.stdout.write(f"{options.encoder}, {len(wave) / 16000:.1f} s, windows of {options.hop} frames\n")
    sys.stdout.write(f"{'ahead':>9}{'off, all frames':>18}{'last of a window':>18}\n")
    for ahead in AHEAD:
        error = (live(encoder, wave, options.hop, ahead) - whole).square().mean((0, 2))
        frames = error.unflatten(0, (-1, steps)).mean(1)
        last = frames[options.hop - 1 : -ahead - 1 : options.hop]  # not those whose future ends with the sound
        row = [(value.mean().sqrt() / deviation).item() for value in (frames, last)]
        sys.stdout.write(f"{40 * ahead:>6} ms{row[0]:>18.3f}{row[1]:>18.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
