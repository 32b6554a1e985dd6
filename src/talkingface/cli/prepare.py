"""``prepare``: raw videos to a training set, ``--check`` of one, and ``--features`` ahead of training from it."""

import argparse
import json
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkingface import registry
from talkingface.cli import usage
from talkingface.cli.progress import clips_bar
from talkingface.cli.usage import UsageError
from talkingface.prepare.settings import Settings

if TYPE_CHECKING:
    from talkingface.prepare.engines import Engine


def run(verb: str, arguments: list[str]) -> int:
    """Prepare a set, verify one, or cache what training will read of it."""
    if arguments[:1] == ["--features"]:
        from talkingface.cli.training import cache_features

        cache_features(arguments[1:])
        return 0
    options = _parser(verb).parse_args(arguments)
    if options.features is not None:
        raise UsageError("--features stands alone: talkingface prepare --features -c NAME, and the options of 'fit'.")
    if options.check:
        return _check(options.check, options.json)
    if options.dst is None:
        raise UsageError("prepare needs LAYOUT SRC DST, or --check DST, or --features -c NAME.")

    engine = _engine(options)
    from talkingface.prepare.run import prepare

    given = {name: getattr(options, name) for name in (field.name for field in fields(Settings))}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    with nullcontext(None) if options.json else clips_bar("preparing") as progress:
        prepare(options.layout, options.src, options.dst, settings, engine, progress)
    found = json.loads((options.dst / "statistics.json").read_text(encoding="utf-8"))
    if options.json:
        usage.write_json(found)
    else:
        _show(found, options.dst)
    return 0


def _engine(options: argparse.Namespace) -> "Engine":
    if options.engine == "ray":
        from talkingface.prepare.cluster import Ray

        return Ray(options.address or "", options.processes or 0)
    if options.address is not None:
        raise UsageError("--address is that of a Ray cluster: give --engine ray, too.")
    from talkingface.prepare.engines import Pool, in_process

    return Pool(options.processes) if (options.processes or 1) > 1 else in_process


def _show(found: dict[str, Any], dst: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    made = Table("", "#IDs", "#Clips", "Hours", "with sound", title=f"made of {found['sources']} sources")
    for name, one in found["sets"].items():
        values = (str(one["identities"]), str(one["clips"]), f"{one['hours']:.2f}", f"{one['hours_with_sound']:.2f}")
        made.add_row(name, *values)
    console.print(made)
    lost = Table("stage", "spans", "Hours", title="left out")
    for stage, one in found["dropped"].items():
        lost.add_row(stage, str(one["spans"]), f"{one['hours']:.2f}")
    console.print(lost)
    usage.write(f"{dst / 'index.html'}: the report; train with --data folder --data.root {dst}")


def _check(dst: Path, as_json: bool) -> int:
    from talkingface.prepare.manifest import check

    clips, wrong = check(dst)
    if as_json:
        usage.write_json({"clips": clips, "wrong": wrong})
    else:
        for line in wrong:
            usage.write(line)
        usage.write(f"{dst}: {clips} clips, {len(wrong) or 'nothing'} wrong")
    return 1 if wrong else 0


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = usage.parser(
        verb,
        "Make a training set of raw videos: one face a clip, filtered, cropped by one fixed box, 25 fps and 16 kHz, "
        "with a manifest and a report of what was left out. Killed at any moment, the same command goes on.",
        "prepare folder videos/ set/ --processes 4",
        "prepare voxceleb2 vox2/ set/ --engine ray --address auto",
        "prepare folder videos/ set/ --controls landmarks",
        "prepare --check set/",
        "prepare --features -c anitalker-stage2 --data.root set/ --model.representation STAGE1",
    )
    add = parser.add_argument
    add("layout", metavar="LAYOUT", nargs="?", help=f"kind of tree: {', '.join(registry.names('layout'))}")
    add("src", metavar="SRC", type=Path, nargs="?", help="folder of raw videos; it is only read")
    add("dst", metavar="DST", type=Path, nargs="?", help="the set to make")
    add("--check", metavar="DST", type=Path, help="verify a prepared set: files, hashes, lengths, splits")
    about = "alone, with the options of 'fit': cache the speech features and the motion that this training will read"
    add("--features", nargs=argparse.REMAINDER, metavar="-c NAME", help=about)
    add("--engine", choices=("local", "ray"), default="local", help="processes of this machine, or a Ray cluster's")
    add("--address", metavar="HOST:PORT", help="of the Ray cluster, or 'auto' (default: a Ray of this run alone)")
    add("--processes", type=int, metavar="N", help="that work at once (default: 1; ray: as many as it has processors)")
    add = parser.add_argument_group("thresholds").add_argument
    for field in fields(Settings):
        option, default = f"--{field.name.replace('_', '-')}", "none" if field.default == "" else field.default
        about = f"{field.metadata['about']} (default: {default})"
        if isinstance(field.default, bool):
            add(option, dest=field.name, action="store_true", default=None, help=field.metadata["about"])
        else:
            metavar = "NAME" if isinstance(field.default, str) else "N"
            add(option, dest=field.name, type=type(field.default), metavar=metavar, help=about)
    usage.add_json(parser)
    return parser
