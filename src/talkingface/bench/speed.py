"""How fast a model of a bench animates, beside how well: measured in its cell, and therefore noisy."""

import itertools
from collections.abc import Iterator

from talkingface.data.synthetic import Staging, render_clip
from talkingface.evaluation.synthetic import Frames
from talkingface.metrics.speed import SpeedMeter
from talkingface.pipelines.animator import Animator

BATCH = 8  # frames rendered together, as ``animate`` does


def measured_speed(animator: Animator, person: int, seed: int, frames: int, staging: Staging) -> dict[str, float]:
    """Time from a portrait, and speech or driving frames in memory, to pictures in memory, after one warm-up.

    Args:
        animator: the model; with a motion generator it is driven by speech, else by frames.
        person: identity of the clip.
        seed: of the clip.
        frames: length of the clip, at 25 fps.
        staging: how it is filmed, best as for the training of the model.

    Returns:
        Names of :data:`~talkingface.bench.columns.SPEED`: frames a second, milliseconds to the first frame, seconds of
        work for a second of video, and GiB of the process at most, what it held before included.
    """
    clip = render_clip(person, seed, frames, animator.renderer.size, staging=staging)
    portrait = clip.frames[0]

    def spoken() -> Iterator[Frames]:
        return animator.animate(portrait, audio=clip.audio, crop="none", batch=BATCH).frames()

    def driven() -> Iterator[Frames]:
        source = animator.appearance(portrait)
        for start in range(0, frames, BATCH):
            yield animator.render(source, animator.motion(clip.frames[start : start + BATCH]))

    produce = driven if animator.motion_generator is None else spoken
    speed = SpeedMeter(device=str(animator.device)).measure(lambda: itertools.chain.from_iterable(produce()))
    return {
        "frames-per-second": speed.frames_per_second,
        "first-frame": 1000 * speed.first_frame_seconds,
        "real-time-factor": speed.real_time_factor,
        "animate-gb": speed.peak_memory_bytes / (1 << 30),
    }
