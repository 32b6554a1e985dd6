"""``convert``: a published checkpoint to a model folder."""

from talkingface.cli import usage


def run(verb: str, arguments: list[str]) -> int:
    """Convert one checkpoint."""
    parser = usage.parser(
        verb,
        "Turn a published checkpoint into a model folder; nothing in it is executed.",
        "convert lia vox.pt lia-vox",
    )
    parser.add_argument("family", metavar="FAMILY", help="layout of the checkpoint: lia, anitalker")
    parser.add_argument("src", metavar="SRC", help="the checkpoint")
    parser.add_argument("dst", metavar="DST", help="model folder to make")
    options = parser.parse_args(arguments)

    from talkingface.convert import convert_checkpoint

    convert_checkpoint(options.family, options.src, options.dst)
    usage.write(f"{options.dst}: model folder made from {options.src}")
    return 0
