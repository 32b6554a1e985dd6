"""``animate``: portrait and driving video to video."""

from contextlib import nullcontext
from pathlib import Path

from talkingface.cli import usage
from talkingface.cli.progress import frames_bar


def run(verb: str, arguments: list[str]) -> int:
    """Render one animation."""
    parser = usage.parser(
        verb,
        "Move a portrait after a driving video; the sound of the driving video is kept.",
        "animate --source face.jpg --driving clip.mp4 --model DIR -o out.mp4",
        "animate --source face.jpg --driving clip.mp4 --model owner/name -o out.mp4 --relative",
    )
    parser.add_argument("--source", required=True, metavar="FILE", help="portrait: picture, or video (first frame)")
    parser.add_argument("--driving", required=True, metavar="FILE", help="video whose motion is taken over")
    parser.add_argument("--model", required=True, metavar="DIR|NAME", help="model folder, or owner/name on the Hub")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="result: mp4, m4v, mov or mkv")
    parser.add_argument(
        "--relative", action="store_true", help="add the motion since the first driving frame to the portrait's own"
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="frames rendered together (default: 8)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    usage.add_json(parser)
    options = parser.parse_args(arguments)

    from talkingface.pipelines import load

    animator = load(options.model, options.device)
    animation = animator.animate(
        options.source, driving=options.driving, relative=options.relative, batch=options.batch
    )
    with nullcontext(None) if options.json else frames_bar("animating") as progress:
        path: Path = animation.save(options.out, progress)
    if options.json:
        usage.write_json({"out": str(path), "frames": len(animation), "device": str(animator.device)})
    else:
        usage.write(f"{path}: {len(animation)} frames")
    return 0
