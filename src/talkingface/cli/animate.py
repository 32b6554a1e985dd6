"""``animate``: portrait and speech, or portrait and driving video, to video."""

import argparse
import re
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkingface.cli import usage
from talkingface.cli.progress import frames_bar
from talkingface.cli.usage import UsageError

if TYPE_CHECKING:
    from talkingface.core.interfaces import ControlReader
    from talkingface.pipelines import Animation
    from talkingface.pipelines.control_tracks import Control
    from talkingface.pipelines.portrait import Crop

TRACKS = ("pose", "location", "scale")
NUMBERS = re.compile(r"-?[\d.]+(,-?[\d.]+)*")


def run(verb: str, arguments: list[str]) -> int:
    """Render one animation."""
    options = _parser(verb).parse_args(_joined(arguments))
    if (options.audio is None) == (options.driving is None):
        raise UsageError("animate needs --audio or --driving, and not both.")
    crop = _crop(options.crop)

    from talkingface.pipelines import load

    animator = load(options.model, options.device)
    reader = _reader(options)
    begun = time.perf_counter()
    animation = animator.animate(
        options.source,
        driving=options.driving,
        audio=options.audio,
        seed=options.seed,
        pose=_control(options.pose),
        location=_control(options.location),
        scale=_control(options.scale),
        controls=reader,
        steps=options.steps,
        guidance=options.guidance,
        relative=options.relative,
        crop=crop,
        paste_back=options.paste_back,
        batch=options.batch,
    )
    first_frame, path = _save(animation, options, begun)
    taken, seconds = time.perf_counter() - begun, len(animation) / 25
    answer: dict[str, Any] = {"out": str(path), "frames": len(animation), "device": str(animator.device)}
    answer |= {"seconds": seconds, "real_time_factor": round(taken / seconds, 3), "first_frame": round(first_frame, 3)}
    answer |= {"notes": list(animation.notes)}
    if options.audio:
        answer |= {"windows": len(animation.motion.windows), "seed": options.seed}  # type: ignore[attr-defined]
    if options.json:
        usage.write_json(answer)
    else:
        usage.write(f"{path}: {len(animation)} frames")
    if sys.stderr.isatty():
        speed = f"{taken / seconds:.2f} s for each second of video, the first frame after {first_frame:.2f} s"
        usage.write(f"{taken:.1f} s on {animator.device}: {speed}", sys.stderr)
    return 0


def _save(animation: "Animation", options: argparse.Namespace, begun: float) -> tuple[float, Path]:
    """Render to the file; also seconds from ``begun`` until the first frames were there."""
    waited: list[float] = []
    with nullcontext(None) if options.json else frames_bar("animating") as bar:

        def told(done: int, total: int) -> None:
            waited.append(time.perf_counter() - begun)
            if bar is not None:
                bar(done, total)

        path = animation.save(options.out, told)
    return waited[0], path


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = usage.parser(
        verb,
        "Move a portrait by speech, or after a driving video, whose sound is kept.",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4",
        "animate --source photo.jpg --audio speech.mp3 --model DIR -o out.mp4 --paste-back --seed 1",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4 --pose 10,0,-5 --scale track.csv",
        "animate --source face.jpg --driving clip.mp4 --model owner/name -o out.mp4 --relative",
    )
    add = parser.add_argument
    add("--source", required=True, metavar="FILE", help="portrait: picture, or video (first frame)")
    add("--audio", metavar="FILE", help="speech of any length that moves it: any file with sound")
    add("--driving", metavar="FILE", help="video whose motion is taken over instead")
    add("--model", required=True, metavar="DIR|NAME", help="model folder, or owner/name on the Hub")
    add("-o", "--out", required=True, metavar="FILE", help="result: mp4, m4v, mov or mkv")
    portrait = parser.add_argument_group("portrait")
    add = portrait.add_argument
    add("--crop", default="auto", metavar="auto|none|X,Y,SIDE", help="what is animated: a square round the largest "
        "face (default), the centre square, or the square of that corner and side in pixels")  # fmt: skip
    add("--paste-back", action="store_true", help="put the animated square back into the full picture")
    speech = parser.add_argument_group(
        "with --audio",
        "A track is a CSV file with a header and one row a frame, 25 a second, or a video whose own is taken over.",
    )
    add = speech.add_argument
    add("--seed", type=int, default=0, metavar="N", help="another seed moves otherwise (default: 0)")
    add("--pose", metavar="YAW,PITCH,ROLL|FILE", help="of the head, in degrees; columns yaw, pitch, roll")
    add("--location", metavar="X|FILE", help="of the nose over the width of the square, 0 to 1; column location")
    add("--scale", metavar="S|FILE", help="inner brows to chin over the height of the square, 0 to 1; column scale")
    add("--controls", default="landmarks", metavar="NAME", help="what finds tracks in a video: landmarks (default), "
        "labels:folder=DIR, mediapipe:model=FILE; see 'talkingface list'")  # fmt: skip
    add("--steps", type=int, default=50, metavar="N", help="of the sampler; fewer are faster (default: 50)")
    add("--guidance", type=float, default=1.0, metavar="G", help="weight of the speech, where trained (default: 1)")
    add = parser.add_argument_group("with --driving").add_argument
    add("--relative", action="store_true", help="add the motion since the first driving frame to the portrait's own")
    add = parser.add_argument_group("computing").add_argument
    add("--batch", type=int, default=8, metavar="N", help="frames rendered together (default: 8)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    usage.add_json(parser)
    return parser


def _joined(arguments: list[str]) -> list[str]:
    """``--pose -10,0,5`` as ``--pose=-10,0,5``: argparse would take the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in {f"--{name}" for name in TRACKS} and NUMBERS.fullmatch(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _control(text: str | None) -> "Control | None":
    if text is None or not NUMBERS.fullmatch(text):
        return text
    numbers = _floats(text)
    return numbers if len(numbers) > 1 else numbers[0]


def _floats(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{text} are not numbers; write them as 10,0,-5.") from error


def _crop(text: str) -> "Crop":
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip("-").isdigit() for part in parts):
        raise UsageError(f"--crop {text}: give auto, none, or x,y,side in pixels, such as 120,40,512.")
    left, top, side = map(int, parts)
    return left, top, side


def _reader(options: argparse.Namespace) -> "ControlReader | None":
    """What finds tracks in a video, where one is given: a short name and maybe its settings, ``labels:folder=DIR``."""
    files = [text for name in TRACKS if (text := getattr(options, name)) and not NUMBERS.fullmatch(text)]
    if all(file.lower().endswith(".csv") for file in files):
        return None
    from talkingface import registry

    name, _, settings = options.controls.partition(":")
    values = dict(setting.partition("=")[::2] for setting in settings.split(",") if setting)
    cls = registry.load("controls", name)
    try:
        reader: ControlReader = cls(**values)
    except TypeError as error:
        raise UsageError(f"--controls {options.controls}: {error}. See 'talkingface show controls.{name}'.") from error
    return reader
