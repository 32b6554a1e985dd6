"""``demo``: everything once, on one page."""

from pathlib import Path

from talkingface.cli import usage


def run(verb: str, arguments: list[str]) -> int:
    """Run the demo."""
    parser = usage.parser(
        verb, "Make data, train a tiny model, evaluate it, animate, and write one page.", "demo --out demo"
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where (default: demo)")
    options = parser.parse_args(arguments)

    from talkingface.bench.demo import run_demo
    from talkingface.cli.recipes import find_config

    run_demo(options.out, find_config("anitalker-tiny-stage1"))
    return 0
