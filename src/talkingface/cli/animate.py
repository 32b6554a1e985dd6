"""``animate``: portrait and speech, or portrait and driving video, to video."""

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkingface.cli import usage
from talkingface.cli.animate_options import control, crop, dubbed, joined, parser, reader
from talkingface.cli.progress import frames_bar
from talkingface.cli.usage import UsageError

if TYPE_CHECKING:
    from talkingface.pipelines import Animation, Animator
    from talkingface.pipelines.animation import Rendering
    from talkingface.pipelines.portrait import Crop


def run(verb: str, arguments: list[str]) -> int:
    """Render one animation."""
    options = parser(verb).parse_args(joined(arguments))
    if (options.audio is None) == (options.driving is None):
        raise UsageError("animate needs --audio or --driving, and not both.")
    square = crop(options.crop)

    import torch

    from talkingface.pipelines import Animation, load

    animator = load(options.model, options.device, getattr(torch, options.dtype))
    begun = time.perf_counter()
    if options.audio and dubbed(animator.motion_generator, options):
        animation: Rendering = animator.dub(
            options.source, options.audio, mouth=control(options.mouth), batch=options.batch
        )
    else:
        animation = _animated(animator, options, square)
    first_frame, path = _save(animation, options, begun)
    taken, seconds = time.perf_counter() - begun, len(animation) / 25
    answer: dict[str, Any] = {"out": str(path), "frames": len(animation), "device": str(animator.device)}
    answer |= {"seconds": seconds, "real_time_factor": round(taken / seconds, 3), "first_frame": round(first_frame, 3)}
    answer |= {"notes": list(animation.notes)}
    if options.audio and isinstance(animation, Animation):
        answer |= {"windows": len(animation.motion.windows), "seed": options.seed}  # type: ignore[attr-defined]
    if options.json:
        usage.write_json(answer)
    else:
        usage.write(f"{path}: {len(animation)} frames")
    if sys.stderr.isatty():
        speed = f"{taken / seconds:.2f} s for each second of video, the first frame after {first_frame:.2f} s"
        usage.write(f"{taken:.1f} s on {animator.device}: {speed}", sys.stderr)
    return 0


def _animated(animator: "Animator", options: argparse.Namespace, square: "Crop") -> "Animation":
    return animator.animate(
        options.source,
        driving=options.driving,
        audio=options.audio,
        seed=options.seed,
        pose=control(options.pose),
        location=control(options.location),
        scale=control(options.scale),
        mouth=control(options.mouth),
        controls=reader(options),
        emotion=options.emotion,
        strength=options.strength,
        steps=options.steps,
        guidance=options.guidance,
        relative=options.relative,
        region=options.region,
        crop_driving=options.crop_driving,
        crop=square,
        paste_back=options.paste_back,
        stitch=options.stitch,
        eyes=options.eyes,
        lips=options.lips,
        batch=options.batch,
    )


def _save(animation: "Rendering", options: argparse.Namespace, begun: float) -> tuple[float, Path]:
    """Render to the file; also seconds from ``begun`` until the first frames were there."""
    waited: list[float] = []
    with nullcontext(None) if options.json else frames_bar("animating") as bar:

        def told(done: int, total: int) -> None:
            waited.append(time.perf_counter() - begun)
            if bar is not None:
                bar(done, total)

        path = animation.save(options.out, told)
    return waited[0], path
