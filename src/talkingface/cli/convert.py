"""``convert``: a published checkpoint to a model folder."""

from dataclasses import asdict

from talkingface.cli import usage


def run(verb: str, arguments: list[str]) -> int:
    """Convert one checkpoint."""
    parser = usage.parser(
        verb,
        "Turn a published checkpoint into a model folder; nothing in it is executed.",
        "convert lia vox.pt lia-vox",
        "convert anitalker-stage2 stage2.ckpt anitalker --stage1 stage1.ckpt",
        "convert controltalk lipControlNet.pt controltalk --stage1 facevid2vid.pth",
        "convert liveportrait pretrained_weights/liveportrait liveportrait",
    )
    parser.add_argument(
        "family",
        metavar="FAMILY",
        help="layout of the checkpoint: lia, anitalker (its stage 1), anitalker-stage2, liveportrait, facevid2vid, "
        "controltalk (its lipControlNet), wav2lip-expert",
    )
    parser.add_argument("src", metavar="SRC", help="the checkpoint; for liveportrait, the folder of its files")
    parser.add_argument("dst", metavar="DST", help="model folder to make")
    parser.add_argument(
        "--stage1",
        metavar="CKPT|MODEL",
        help="for a stage 2: the checkpoint of stage 1 that it was trained on, or a model folder made of that",
    )
    usage.add_json(parser)
    options = parser.parse_args(arguments)

    from talkingface.convert import convert_checkpoint

    report = convert_checkpoint(options.family, options.src, options.dst, options.stage1)
    if options.json:
        usage.write_json(asdict(report) | {"folder": str(report.folder)})
        return 0
    usage.write(f"{report.folder}: model folder made from {options.src}")
    for part, count in report.parameters.items():
        usage.write(f"  {part}: {count:,} parameters")
    if report.dropped:
        usage.write(f"  {len(report.dropped)} tensors have no effect in the published code and were left out")
    if report.ignored:
        usage.write(f"  {len(report.ignored)} tensors belong to no part and were left out")
    usage.write(f"  licence: {report.licence}")
    return 0
