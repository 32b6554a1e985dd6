"""``export``: a training checkpoint to a model folder."""

from talkingface.cli import usage


def run(verb: str, arguments: list[str]) -> int:
    """Export one checkpoint."""
    parser = usage.parser(
        verb,
        "Turn a training checkpoint into a model folder; averaged (EMA) weights are taken where there are any.",
        "export runs/anitalker-tiny-stage1/lightning_logs/version_0/checkpoints/last.ckpt my-model",
    )
    parser.add_argument("ckpt", metavar="CKPT", help="checkpoint that 'talkingface fit' wrote")
    parser.add_argument("dir", metavar="DIR", help="model folder to make")
    parser.add_argument("--representation", metavar="DIR", help="of stage 2: where the model of stage 1 lies now")
    options = parser.parse_args(arguments)

    from talkingface.pipelines.export import export_checkpoint

    export_checkpoint(options.ckpt, options.dir, options.representation)
    usage.write(f"{options.dir}: model folder; try 'talkingface animate --model {options.dir} …'")
    return 0
