"""``convert``: a published checkpoint to a model folder."""

from dataclasses import asdict

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
    usage.add_json(parser)
    options = parser.parse_args(arguments)

    from talkingface.convert import convert_checkpoint

    report = convert_checkpoint(options.family, options.src, options.dst)
    if options.json:
        usage.write_json(asdict(report) | {"folder": str(report.folder)})
        return 0
    usage.write(f"{report.folder}: model folder made from {options.src}")
    for part, count in report.parameters.items():
        usage.write(f"  {part}: {count:,} parameters")
    if report.ignored:
        usage.write(f"  {len(report.ignored)} tensors belong to no part and were left out")
    usage.write(f"  licence: {report.licence}")
    return 0
