"""What ``animate`` can be told: its parser, and text of options as values."""

import argparse
import re
from typing import TYPE_CHECKING

from talkingface.cli import usage
from talkingface.cli.usage import UsageError
from talkingface.core.errors import ConfigError

if TYPE_CHECKING:
    from talkingface.core.interfaces import ControlReader, MotionGenerator
    from talkingface.pipelines.control_tracks import Control
    from talkingface.pipelines.portrait import Crop

TRACKS = ("pose", "location", "scale")
REGIONS = ("all", "expression", "pose", "lips", "eyes")
DTYPES = ("float32", "bfloat16", "float16")
NUMBERS = re.compile(r"-?[\d.]+(,-?[\d.]+)*")


def parser(verb: str) -> argparse.ArgumentParser:
    """The parser of ``animate``."""
    options = usage.parser(
        verb,
        "Move a portrait by speech, or after a driving video, whose sound is kept.",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4",
        "animate --source photo.jpg --audio speech.mp3 --model DIR -o out.mp4 --paste-back --seed 1",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4 --pose 10,0,-5 --scale track.csv",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4 --emotion happy --strength 0.7",
        "animate --source face.jpg --audio speech.wav --model DIR -o out.mp4 --mouth 0.8",
        "animate --source clip.mp4 --audio other.wav --model DIR -o dubbed.mp4",
        "animate --source face.jpg --driving clip.mp4 --model owner/name -o out.mp4 --relative",
        "animate --source photo.jpg --driving clip.mp4 --model DIR -o out.mp4 --crop landmarks --paste-back --eyes 0.4",
        "animate --source face.jpg --driving other.jpg --model DIR -o out.png --region lips",
    )
    add = options.add_argument
    add("--source", required=True, metavar="FILE", help="portrait: picture, or video (first frame); with --audio and a "
        "model that edits expressions, a video that is dubbed: the mouth follows the speech")  # fmt: skip
    add("--audio", metavar="FILE", help="speech of any length that moves it: any file with sound")
    add("--driving", metavar="FILE", help="video, or a still picture, whose motion is taken over instead")
    add("--model", required=True, metavar="DIR|NAME", help="model folder, or owner/name on the Hub")
    add("-o", "--out", required=True, metavar="FILE", help="result: mp4, m4v, mov or mkv; of a driving picture also "
        "png, jpg or webp")  # fmt: skip
    portrait = options.add_argument_group("portrait")
    add = portrait.add_argument
    add("--crop", default="auto", metavar="auto|landmarks|none|X,Y,SIDE", help="what is animated: a square round the "
        "largest face (default), one turned upright as LivePortrait cuts it, the centre square, or the square of that "
        "corner and side in pixels")  # fmt: skip
    add("--paste-back", action="store_true", help="put the animated square back into the full picture")
    retouch = options.add_argument_group("portrait, of models with a retargeting part")
    add = retouch.add_argument
    add("--stitch", action=argparse.BooleanOptionalAction, help="leave the shoulders in place (default: with "
        "--paste-back)")  # fmt: skip
    add("--eyes", type=float, metavar="RATIO", help="how far the eyes are open: height over width, 0 to 0.8")
    add("--lips", type=float, metavar="RATIO", help="how far the lips are open: height over width, 0 to 0.8")
    speech = options.add_argument_group(
        "with --audio",
        "A track is a CSV file with a header and one row a frame, 25 a second, or a video whose own is taken over.",
    )
    add = speech.add_argument
    add("--seed", type=int, default=0, metavar="N", help="another seed moves otherwise (default: 0)")
    add("--pose", metavar="YAW,PITCH,ROLL|FILE", help="of the head, in degrees; columns yaw, pitch, roll")
    add("--location", metavar="X|FILE", help="of the nose over the width of the square, 0 to 1; column location")
    add("--scale", metavar="S|FILE", help="inner brows to chin over the height of the square, 0 to 1; column scale")
    add("--mouth", metavar="ALPHA|FILE", help="of models that edit an expression, how far the mouth follows the "
        "speech: 0 leaves it closed, 0.5 is usual, 1 to 3 exaggerates; column mouth")  # fmt: skip
    add("--emotion", metavar="NAME|FILE", help="of models that know emotions: a name, a picture or clip that shows it, "
        "or a CSV file with columns time or frame, emotion, strength (default: left to the speech)")  # fmt: skip
    add("--strength", type=float, metavar="S", help="of the emotion, 0 (neutral) to 1.5 (default: 1)")
    add("--controls", default="landmarks", metavar="NAME", help="what finds tracks in a video: landmarks (default), "
        "labels:folder=DIR, mediapipe:model=FILE; see 'talkingface list'")  # fmt: skip
    add("--steps", type=int, default=50, metavar="N", help="of the sampler; fewer are faster (default: 50)")
    add("--guidance", type=float, default=1.0, metavar="G", help="weight of the speech, where trained (default: 1)")
    driving = options.add_argument_group("with --driving")
    how = driving.add_mutually_exclusive_group()
    add = how.add_argument
    add("--relative", action="store_true", default=None, help="add the motion since the first driving frame to the "
        "portrait's own (default where motion places keypoints)")  # fmt: skip
    add("--absolute", action="store_false", default=None, dest="relative", help="take the motion over as it is "
        "(default elsewhere)")  # fmt: skip
    add = driving.add_argument
    add("--region", default="all", choices=REGIONS, help="what follows, where motion places keypoints (default: all)")
    add("--crop-driving", action="store_true", help="see a fixed square round the face of the driving video, cut as "
        "the portrait is, not its centre square")  # fmt: skip
    add = options.add_argument_group("computing").add_argument
    add("--batch", type=int, default=8, metavar="N", help="frames rendered together (default: 8)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    add("--dtype", default="float32", choices=DTYPES, help="in which face-vid2vid's renderer draws (default: float32); "
        "half precision is faster on GPUs, and on processors that have it")  # fmt: skip
    usage.add_json(options)
    return options


def joined(arguments: list[str]) -> list[str]:
    """``--pose -10,0,5`` as ``--pose=-10,0,5``: argparse would take the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in {f"--{name}" for name in TRACKS} and NUMBERS.fullmatch(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def control(text: str | None) -> "Control | None":
    """Numbers, or the name of a file."""
    if text is None or not NUMBERS.fullmatch(text):
        return text
    numbers = _floats(text)
    return numbers if len(numbers) > 1 else numbers[0]


def _floats(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{text} are not numbers; write them as 10,0,-5.") from error


def crop(text: str) -> "Crop":
    """What is animated."""
    match text:
        case "auto" | "landmarks" | "none":
            return text
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip("-").isdigit() for part in parts):
        raise UsageError(f"--crop {text}: give auto, landmarks, none, or x,y,side in pixels, such as 120,40,512.")
    left, top, side = map(int, parts)
    return left, top, side


def dubbed(generator: "MotionGenerator | None", options: argparse.Namespace) -> bool:
    """Whether the source is a video that is dubbed: its generator edits the motion that is there.

    Raises:
        UsageError: for options that have no effect then.
    """
    from talkingface.core.media import is_video

    if generator is None or not generator.edits or not is_video(options.source):
        return False
    kept = {name: getattr(options, name) for name in (*TRACKS, "emotion", "stitch", "eyes", "lips")}
    asked = [f"--{name}" for name, value in kept.items() if value is not None]
    asked += ["--crop"] if options.crop != "auto" else []
    if asked:
        raise UsageError(
            f"{', '.join(asked)} cannot be asked of a video that is dubbed: all but the mouth stays as it was filmed. "
            "To animate one of its frames, give that as a picture."
        )
    return True


def reader(options: argparse.Namespace) -> "ControlReader | None":
    """What finds tracks in a video, where one is given: a short name and maybe its settings, ``labels:folder=DIR``."""
    files = [text for name in TRACKS if (text := getattr(options, name)) and not NUMBERS.fullmatch(text)]
    if all(file.lower().endswith(".csv") for file in files):
        return None
    from talkingface import registry

    try:
        reader: ControlReader = registry.built("controls", options.controls)
    except ConfigError as error:
        raise UsageError(f"--controls: {error}") from error
    return reader
