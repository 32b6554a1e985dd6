"""``evaluate``: clips of any system beside their targets, with controls, under a written protocol."""

import argparse
from contextlib import nullcontext
from pathlib import Path

from talkingface.cli import usage
from talkingface.cli.progress import clips_bar
from talkingface.cli.usage import UsageError

DEFAULT = ("psnr", "ssim", "lpips", "fid", "csim", "lse-d", "lse-c", "m-lmd")


def run(verb: str, arguments: list[str]) -> int:
    """Evaluate, or compare what was evaluated."""
    options = _parser(verb).parse_args(arguments)
    if options.compare:
        return _compare(options)
    if options.pred is None or options.out is None:
        raise UsageError("evaluate needs --pred and --out (and --target or --source), or --compare with result files.")

    from talkingface.core.device import resolve_device
    from talkingface.evaluation.job import Job
    from talkingface.evaluation.pairing import pair_clips, read_identities
    from talkingface.evaluation.results import Results, results_table, write_results
    from talkingface.evaluation.run import evaluate
    from talkingface.evaluation.scoring import check_metrics

    check_metrics(options.metrics)
    identities = read_identities(options.identities) if options.identities else None
    job = Job(
        pairing=pair_clips(options.pred, options.target, options.source, options.audio, identities),
        metrics=tuple(options.metrics),
        name=options.name or options.pred.stem,
        size=options.size,
        skip=options.skip,
        controls=not options.no_controls,
        synthetic=options.synthetic,
        labels={
            side: folder
            for side, folder in (("pred", options.pred_labels), ("target", options.target_labels))
            if folder is not None
        },
        weights=dict(_weight(text) for text in options.weights),
        settings={name: {"stride": options.stride} for name in ("fid", "kid") if name in options.metrics},
        device=str(resolve_device(options.device)),
    )
    with nullcontext(None) if options.json else clips_bar("evaluating") as progress:
        results = Results.of(evaluate(job, options.processes, progress))
    rows = write_results(options.out, results)
    if options.json:
        usage.write(options.out.read_text(encoding="utf-8"))
        return 0
    _show(results_table([results]))
    usage.write(f"{options.out} (card {results.hash}) and {rows}: {results.run['seconds']:.1f} s")
    return 0


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = usage.parser(
        verb,
        "Score clips of any system beside their targets and negative controls; the protocol travels with the numbers.",
        "evaluate --pred generated/ --target real/ --out results.json",
        "evaluate --pred out.mp4 --target real.mp4 --metrics psnr ssim lse-d --out results.json",
        "evaluate --pred generated/ --source portraits/ --metrics csim --out cross.json",
        "evaluate --compare ours.json theirs.json",
    )
    add = parser.add_argument
    add("--pred", type=Path, metavar="DIR|FILE", help="predictions: videos, folders of pictures, or .npy arrays")
    add("--target", type=Path, metavar="DIR|FILE", help="true clips of the same names (self-reenactment)")
    add("--source", type=Path, metavar="DIR|FILE", help="portraits of the same names (cross-reenactment)")
    add("--audio", type=Path, metavar="DIR|FILE", help="speech of the same names (default: the targets' sound)")
    add("--metrics", nargs="+", default=list(DEFAULT), metavar="NAME", help=f"default: {' '.join(DEFAULT)}")
    add("--out", type=Path, metavar="FILE.json", help="result file; the rows stand beside it as .parquet")
    add("--name", help="of the system in tables (default: the name of --pred)")
    add("--identities", type=Path, metavar="CSV", help="columns path and identity (default: a clip's folder)")
    add("--size", type=int, metavar="N", help="resize all frames to N×N (default: as they are)")
    add("--skip", type=int, default=0, metavar="N", help="leave out the first N frames, such as the source frame")
    add("--stride", type=int, default=1, metavar="N", help="every Nth frame for FID and KID (default: 1)")
    add("--pred-labels", type=Path, metavar="DIR", help="landmarks, pose and expression of the predictions (.npz)")
    add("--target-labels", type=Path, metavar="DIR", help="landmarks, pose and expression of the targets (.npz)")
    add("--synthetic", action="store_true", help="clips of the synthetic set: its face reader finds landmarks and pose")
    add("--no-controls", action="store_true", help="leave out ground truth and negative controls")
    add("--weights", nargs="+", default=[], metavar="NAME=FILE", help="local files of networks of 'talkingface list'")
    add("--processes", type=int, default=1, metavar="N", help="share the clips among N processes; same numbers")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    add("--compare", nargs="+", type=Path, metavar="FILE.json", help="put result files into one table")
    add("--mix", action="store_true", help="compare even where the protocols differ, and say how they differ")
    usage.add_json(parser)
    return parser


def _compare(options: argparse.Namespace) -> int:
    from talkingface.evaluation.results import read_results, results_table

    results = [read_results(path) for path in options.compare]
    table = results_table(results, options.mix)
    if options.json:
        cells = {name: {key: cell.number for key, cell in row.items()} for name, row in table.rows.items()}
        usage.write_json({"cards": {one.name: one.hash for one in results}, "table": cells, "notes": list(table.notes)})
    else:
        _show(table)
    return 0


def _show(table: object) -> None:
    from rich.console import Console

    Console().print(table)


def _weight(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not sign:
        raise UsageError(f"--weights {text}: write NAME=FILE, such as syncnet=/data/syncnet_v2.model.")
    return name, Path(path)
