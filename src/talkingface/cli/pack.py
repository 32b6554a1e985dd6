"""``pack``: a prepared set to tar shards."""

from contextlib import nullcontext
from pathlib import Path

from talkingface.cli import usage
from talkingface.cli.progress import clips_bar


def run(verb: str, arguments: list[str]) -> int:
    """Pack one set."""
    parser = usage.parser(
        verb,
        "Write a prepared set into tar files (WebDataset's naming) that training reads from front to back: for sets "
        "larger than the disk beside the GPU. Killed at any moment, the same command goes on.",
        "pack set/ shards/",
        "fit -c anitalker-stage1 --data shards --data.root shards/",
    )
    parser.add_argument("src", metavar="SET", type=Path, help="folder that talkingface prepare made")
    parser.add_argument("dst", metavar="SHARDS", type=Path, help="folder of the tar files")
    parser.add_argument("--megabytes", type=float, default=500, metavar="N", help="size of a tar file (default: 500)")
    usage.add_json(parser)
    options = parser.parse_args(arguments)

    from talkingface.prepare.pack import pack

    with nullcontext(None) if options.json else clips_bar("packing") as progress:
        index = pack(options.src, options.dst, options.megabytes, progress)
    found = {
        split: {
            "shards": len(shards),
            "clips": sum(shard.clips for shard in shards),
            "bytes": sum(shard.bytes for shard in shards),
            "identities": len(index.people[split]),
        }
        for split, shards in index.shards.items()
    }
    if options.json:
        usage.write_json(found)
        return 0
    for split, one in found.items():
        usage.write(f"{split}: {one['clips']} clips of {one['identities']} people in {one['shards']} shards")
    usage.write(f"{options.dst}: train with --data shards --data.root {options.dst}")
    return 0
