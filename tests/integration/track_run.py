"""Encode toy clips into the cache, slowly: ``python track_run.py LOG CLIPS SECONDS``; LOG gets a line a clip."""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from clip_toys import Loudness, latent
from talkingface.data.rendered import RenderedSet, render_set
from talkingface.data.tracks import TrackCache


def main(log: Path, clips: int, seconds: float) -> None:
    found = render_set(RenderedSet("train", 3, clips, 20, 64, 0, audio=True))
    encoder = latent()

    def slowly(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        time.sleep(seconds)

    encoder.image_encoder.register_forward_pre_hook(slowly)
    cache = TrackCache(encoder, Loudness(), 64)
    for clip in found:
        before = cache.find(clip)
        assert cache.encode([clip], torch.device("cpu"), "encoding") == {}
        with log.open("a") as file:
            file.write(f"{clip.clip_id} {'found' if before else 'made'}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
