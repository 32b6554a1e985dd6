"""``bench``: variants of a recipe × seeds → one table."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from talkingface.cli import usage
from talkingface.cli.recipes import SUFFIXES, config_folders
from talkingface.cli.usage import UsageError
from talkingface.core.errors import ConfigError, TalkingFaceError, did_you_mean

if TYPE_CHECKING:
    from talkingface.bench.plan import Plan
    from talkingface.bench.runner import CellState, Watch


def run(verb: str, arguments: list[str]) -> int:
    """Run one bench file, or with ``--smoke`` all of them."""
    parser = usage.parser(
        verb,
        "Train and judge variants of a recipe with several seeds, and write their table. What is finished is kept: "
        "a stopped bench goes on where it was, and only what was changed is done again.",
        "bench anitalker-hal --jobs 2",
        "bench my-ablation.yaml --only baseline",
        "bench --smoke                       (every bench file, in minutes)",
    )
    parser.add_argument("file", nargs="?", metavar="FILE|NAME", help=f"bench file, or one of: {', '.join(benches())}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where (default: runs/bench/NAME)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells at once, one thread each (default: 1)")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="run only these variants")
    parser.add_argument("--smoke", action="store_true", help="one seed, four steps and tiny clips: does it run?")
    usage.add_json(parser)
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs}: give 1 or more.")
    if options.file is None and not options.smoke:
        raise UsageError(f"give a bench file: talkingface bench NAME with NAME of: {', '.join(benches())}.")
    if options.file is None and (options.out or options.only):
        raise UsageError("--out and --only need a bench file.")
    files = [find_bench(options.file)] if options.file else list(benches().values())

    plans = [checked_plan(file) for file in files]  # all of them, before the first is run
    failed = []
    results = []
    for plan in plans:
        if options.smoke:
            plan = plan.at_smoke_scale()
        default = Path("runs") / ("bench-smoke" if options.smoke else "bench") / plan.name
        found, failures = _run(plan, options.out or default, options.jobs, options.only, options.json)
        results.append(found)
        failed += failures
    if options.json:
        usage.write_json(results[0] if options.file else results)
    if failed:
        logs = "; ".join(f"{state.cell.name}: {state.log}" for state in failed)
        raise TalkingFaceError(f"{len(failed)} cell(s) failed and are shown as — ({logs}). Mend them and run it again.")
    return 0


def benches() -> dict[str, Path]:
    """Every bench file that ships, by name."""
    found: dict[str, Path] = {}
    for folder in config_folders():
        for path in sorted((folder / "bench").glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def find_bench(name: str) -> Path:
    """A bench file by path or by bare name.

    Raises:
        UsageError: when there is none; the known ones are listed, the nearest first.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = benches()
    wanted = path.stem if path.suffix in SUFFIXES else name
    if name in known or (path.parts[:2] == ("configs", "bench") and wanted in known):
        return known[wanted]
    raise UsageError(f"there is no bench file '{name}'; known: {did_you_mean(wanted, known)}.")


def checked_plan(file: Path) -> "Plan":
    """Read a bench file and let the trainer parse the configuration of every variant.

    Raises:
        UsageError: for whatever is wrong; nothing has been trained then.
    """
    from talkingface.bench.plan_file import read_plan
    from talkingface.cli.recipes import find_config
    from talkingface.cli.short_names import written_out

    try:
        plan = read_plan(file, find_config, written_out)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    for variant in plan.variants:
        try:
            _parse(variant.config)
        except UsageError as error:
            raise UsageError(f"{file}: variant '{variant.name}': {error}") from error
    return plan


def _parse(config: dict[str, object]) -> None:
    """Let jsonargparse check every type, as ``talkingface fit`` would."""
    import yaml

    from talkingface.cli.trainer import train

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "recipe.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        with contextlib.suppress(SystemExit):  # of --print_config
            train(["fit", "-c", str(path), "--print_config"], Path(folder), None)


def _run(
    plan: "Plan", out: Path, jobs: int, only: Sequence[str], as_json: bool
) -> tuple[dict[str, object], list["CellState"]]:
    """Run a plan; gives its results and the cells that failed."""
    from rich.console import Console

    from talkingface.bench.report import main_table, write_report
    from talkingface.bench.runner import run_bench

    with _watching(plan, out) as watch:
        states = run_bench(plan, out, jobs, only, watch)
    results = write_report(plan, states, out)
    if not as_json:
        console = Console()
        console.print(main_table(plan, states))
        console.print(f"\nThe report is [bold]{(out / 'index.html').resolve()}[/bold]", soft_wrap=True)
    return results, [state for state in states if state.failed]


@contextlib.contextmanager
def _watching(plan: "Plan", out: Path) -> Iterator["Watch"]:
    """A bar on a terminal, and a line for each cell; the report is written anew after each."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from talkingface.bench.report import write_report

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} cells"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(plan.name, total=len(plan.cells()))

        def watch(states: Sequence["CellState"], ended: "CellState | None") -> None:
            done = sum(state.result is not None for state in states)
            progress.update(task, completed=done)
            if ended is None:
                console.print(
                    f"{plan.title}: {len(states)} cells, {done} finished before; results in {out}", soft_wrap=True
                )
                return
            if ended.result is None:
                line = f"failed, see {os.fspath(ended.log)}"
            else:
                seconds = ended.result["seconds"]
                line = f"trained {seconds['train']:.0f} s, judged {seconds['evaluate']:.0f} s"
            console.print(f"[{done}/{len(states)}] {ended.cell.name}: {line}", soft_wrap=True, markup=False)
            write_report(plan, states, out)

        yield watch
