"""``stream``: a portrait that moves while somebody speaks; raw sound in, raw pictures out."""

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from talkingface.cli import usage
from talkingface.cli.animate_options import TRACKS, control, crop, joined
from talkingface.cli.usage import UsageError

if TYPE_CHECKING:
    from talkingface.pipelines import SpeechStream

CHUNK = 1280  # bytes that are read at once at most: a frame of sound


def run(verb: str, arguments: list[str]) -> int:
    """Speak until the sound ends."""
    options = _parser(verb).parse_args(joined(arguments))
    kept = {name: _kept(name, getattr(options, name)) for name in (*TRACKS, "mouth")}
    if sys.stdin.isatty():
        raise UsageError("stream reads sound from standard input: raw 16-bit samples, mono, 16 kHz. See --help.")
    square = crop(options.crop)

    from talkingface.pipelines import LivePlan, SpeechStream, load

    stream = SpeechStream(
        load(options.model, options.device),
        options.source,
        seed=options.seed,
        **kept,
        emotion=options.emotion,
        strength=options.strength,
        steps=options.steps,
        guidance=options.guidance,
        crop=square,
        paste_back=options.paste_back,
        plan=LivePlan(options.hop, options.lookahead, options.context),
        ahead=options.ahead,
    )
    height, width = stream.size
    begin = {"width": width, "height": height, "pixels": "rgb24", "fps": 25, "delay": round(stream.delay, 3)}
    _tell(begin, f"{width}x{height} rgb24 at 25 fps, {stream.delay:.2f} s after the speech", options.json)
    try:
        end = _speak(stream, sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # the player was closed; Python would complain of it once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    _tell(end, f"{end['frames']} frames, {end['real_time_factor']} s of work for each second", options.json)
    return 0


def _kept(name: str, text: str | None) -> Any:
    """Numbers of an option, where it is given."""
    value = control(text)
    if isinstance(value, str):
        raise UsageError(f"--{name} {text}: a live head keeps numbers, not a track.")
    return value


def _speak(stream: "SpeechStream", sound: BinaryIO, pictures: BinaryIO) -> dict[str, Any]:
    """All sound through the stream: frames that came out, and seconds of work for a second of video."""
    import numpy as np

    worked, rest, ended = 0.0, b"", False
    while not ended:
        data = sound.read1(CHUNK)  # type: ignore[attr-defined]
        begun = time.perf_counter()
        ended, data = not data, rest + data
        whole = len(data) // 2 * 2  # a pipe may be cut within a sample
        rest = data[whole:]
        frames = stream.push(np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768))
        if ended:
            frames = np.concatenate([frames, stream.finish()])
        worked += time.perf_counter() - begun
        pictures.write(frames.tobytes())
        pictures.flush()
    seconds = max(1, stream.motion.frames) / 25
    return {"frames": stream.motion.frames, "real_time_factor": round(worked / seconds, 3)}


def _tell(facts: dict[str, Any], text: str, as_json: bool) -> None:
    """To standard error: pictures go to standard output."""
    import json

    usage.write(json.dumps(facts) if as_json else text, sys.stderr)


def _parser(verb: str) -> argparse.ArgumentParser:
    options = usage.parser(
        verb,
        "Move a portrait while somebody speaks: raw 16-bit samples (mono, 16 kHz) from standard input, raw RGB "
        "pictures at 25 a second to standard output, a stated delay later. Their size is told on standard error.",
        "stream --source face.jpg --model DIR < speech.pcm > pictures.rgb",
        "stream --source face.jpg --model DIR --emotion happy --hop 4 < microphone.fifo > player.fifo",
    )
    add = options.add_argument
    add("--source", required=True, metavar="FILE", help="portrait: picture, or video (first frame)")
    add("--model", required=True, metavar="DIR|NAME", help="model folder, or owner/name on the Hub")
    add = options.add_argument_group("portrait").add_argument
    add("--crop", default="auto", metavar="auto|landmarks|none|X,Y,SIDE", help="what is animated, as with animate")
    add("--paste-back", action="store_true", help="put the animated square back into the full picture")
    add = options.add_argument_group("delay", "In frames of 40 ms.").add_argument
    add("--hop", type=int, default=8, metavar="N", help="frames that are made together (default: 8)")
    add("--lookahead", type=int, default=5, metavar="N", help="frames of speech heard behind them (default: 5)")
    add(
        "--context", type=int, default=25, metavar="N", help="frames before them that motion goes on from (default: 25)"
    )
    add("--ahead", type=int, metavar="N", help="frames of sound that speech features wait for; default: all that they "
        "depend on, 75 with HuBERT and Whisper, 1 otherwise")  # fmt: skip
    add = options.add_argument_group("what is kept throughout").add_argument
    add("--pose", metavar="YAW,PITCH,ROLL", help="of the head, in degrees")
    add("--location", metavar="X", help="of the nose over the width of the square, 0 to 1")
    add("--scale", metavar="S", help="inner brows to chin over the height of the square, 0 to 1")
    add("--mouth", metavar="ALPHA", help="how far it follows the speech, of models that edit an expression, 0 to 3")
    add("--emotion", metavar="NAME|FILE", help="by name, or as a picture or clip shows it (default: heard)")
    add("--strength", type=float, default=1.0, metavar="S", help="of the emotion, 0 to 1.5 (default: 1)")
    add = options.add_argument_group("computing").add_argument
    add("--seed", type=int, default=0, metavar="N", help="another seed moves otherwise (default: 0)")
    add("--steps", type=int, default=10, metavar="N", help="of the sampler; fewer are faster (default: 10)")
    add("--guidance", type=float, default=1.0, metavar="G", help="weight of the speech, where trained (default: 1)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    usage.add_json(options)
    return options
