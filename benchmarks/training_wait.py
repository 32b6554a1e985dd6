"""What fraction of a training step waits for data: ``python benchmarks/training_wait.py [CLIPS --manifest CSV]``.

Without clips: the tiny recipe on rendered heads. With clips: stage 1 at 256 px and full width on real clips, decoded by
two workers while the processor is busy training, which is the hard case: on a GPU the processor is free for decoding.
"""

import argparse
import itertools
import time
from pathlib import Path

import torch

from talkingface.data import FolderPairs, PairModule, SyntheticPairs
from talkingface.losses import pyramid_loss
from talkingface.motion import LatentMotion
from talkingface.renderers import LIARenderer

WARM_UP = 2


def waiting(data: PairModule, size: int, width: float, steps: int) -> tuple[float, float]:
    """Seconds a step spent on waiting for its batch, and on computing."""
    torch.manual_seed(0)
    encoder = LatentMotion(size=size, width=width)
    renderer = LIARenderer(encoder, size=size, width=width)
    optimizer = torch.optim.Adam([*encoder.parameters(), *renderer.parameters()], 1e-4)
    batches = itertools.chain.from_iterable(itertools.repeat(data.train_dataloader()))
    waited = computed = 0.0
    for step in range(WARM_UP + steps):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        image = renderer(renderer.appearance(batch["source"]), encoder(batch["driving"])).image
        optimizer.zero_grad()
        pyramid_loss(image, batch["driving"]).backward()
        optimizer.step()
        if step >= WARM_UP:
            waited += ready - start
            computed += time.perf_counter() - ready
    return waited / steps, computed / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="?", type=Path)
    parser.add_argument("--manifest", type=Path)
    options = parser.parse_args()
    if options.clips is None:
        size, width, steps = 64, 0.0625, 100
        data: PairModule = SyntheticPairs(size=64, identities=20, clips_per_identity=1, frames=20, batch_size=8)
    else:
        size, width, steps = 256, 1.0, 6
        data = FolderPairs(options.clips, options.manifest, size=256, batch_size=4, workers=2)
    waited, computed = waiting(data, size, width, steps)
    share = 100 * waited / (waited + computed)
    print(f"{size} px, width {width}: {1e3 * waited:.1f} ms waiting, {1e3 * computed:.0f} ms computing: {share:.1f} %")


if __name__ == "__main__":
    main()
