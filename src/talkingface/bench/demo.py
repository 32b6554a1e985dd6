"""The demo: train a tiny model by the commands a user would type, judge it on people it has never seen, show it all."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import talkingface
from talkingface._version import __version__
from talkingface.bench import page
from talkingface.bench.bench_page import logged
from talkingface.bench.cell import parameters
from talkingface.bench.reenactment import TASKS, Judged, judge, scored_systems, write_side_by_side
from talkingface.core.errors import TalkingFaceError
from talkingface.core.files import write_text
from talkingface.data.synthetic import Staging, contact_sheet, split_identities
from talkingface.evaluation.scoring import Extractors, Scorer
from talkingface.evaluation.synthetic import SYSTEMS
from talkingface.evaluation.tables import Column, Table, summary_table
from talkingface.pipelines.animator import Animator, load
from talkingface.pipelines.export import export_checkpoint

CLIP_SEED = 7_000_001  # not among the seeds of the rendered sets
FRAMES = 75  # three seconds a clip
SHOWN = 3  # clips on the page, of each kind
COLUMNS = (
    Column("psnr", "PSNR", "dB", True, 2),
    Column("ssim", "SSIM", "", True),
    Column("pose-error", "pose error", "°", False, 1),
    Column("landmark-error", "landmark error", "px", False, 2),
    Column("expression-rmse", "expression RMSE", "", False),
)


def run_demo(out: Path, recipe: Path, options: list[str] | None = None) -> Path:
    """Make data, train, evaluate, animate, and write one page.

    Args:
        out: folder of everything that is made; a model that was trained there by the same recipe, options and code is
            not trained again.
        recipe: what to train, on synthetic people.
        options: further arguments for ``talkingface fit``, such as ``["--trainer.max_epochs", "1"]``.

    Returns:
        The page.
    """
    console = Console()
    out.mkdir(parents=True, exist_ok=True)
    clock = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        console.rule(name)
        start = time.perf_counter()
        yield
        clock[name] = time.perf_counter() - start

    with stage("train"):
        trained = _train_once(console, out, recipe, options or [])
    clock["train"] = trained["seconds"]
    log = out / trained["log"]
    animator = load(out / "model")
    settings = (log.parent / "config.yaml").read_text(encoding="utf-8")
    people, staging = _unseen(settings)
    with stage("evaluate"), console.status(f"{len(people)} people that the model has never seen"):
        scorer = Scorer(("psnr", "ssim"), Extractors("cpu"), scored_systems(TASKS))
        judged = list(judge(animator, people, CLIP_SEED, FRAMES, scorer, staging))
        tables = [_table(task, judged) for task in TASKS]
    for table in tables:
        console.print(table)
    with stage("animate"):
        videos = _videos(out, judged)
        contact_sheet(out / "people.png", identities=4)
    target = out / "index.html"
    write_text(target, _page(animator, tables, videos, out / "people.png", log, settings, clock))
    console.print(f"\nThe page is [bold]{target.resolve()}[/bold]", soft_wrap=True)
    return target


def _train_once(console: Console, out: Path, recipe: Path, options: list[str]) -> dict[str, Any]:
    """Train and export to ``out/model``; gives the seconds that took, and where the log is within ``out``."""
    key = hashlib.sha256(json.dumps(options).encode() + recipe.read_bytes())
    for file in sorted(Path(talkingface.__file__).parent.rglob("*.py")):
        key.update(file.read_bytes())
    stamp = out / "trained.json"
    if stamp.is_file():
        known: dict[str, Any] = json.loads(stamp.read_text(encoding="utf-8"))
        if known["key"] == key.hexdigest():
            console.print(f"{out / 'model'} was trained by this recipe and code before; delete {stamp} to train again")
            return known
    start = time.perf_counter()
    run = out / "run"
    logger = ["--trainer.logger", "lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir", str(run)]
    command = ["fit", "-c", str(recipe), "--trainer.default_root_dir", str(run), *logger, *options]
    console.print(f"talkingface {' '.join(command)}", soft_wrap=True)
    # Maps of 64 px keep one thread busy; on a busy machine a second one makes the step twenty times slower.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if subprocess.run([sys.executable, "-m", "talkingface", *command], env=environment).returncode:
        raise TalkingFaceError("the demo's training stopped, see above; mend that and start the demo again.")
    log = max(run.rglob("metrics.csv"), key=lambda path: path.stat().st_mtime)
    checkpoint = max(log.parent.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    export_checkpoint(checkpoint, out / "model")
    seconds = time.perf_counter() - start
    trained = {"key": key.hexdigest(), "seconds": seconds, "log": log.relative_to(out).as_posix()}
    write_text(stamp, json.dumps(trained, indent=2) + "\n")
    return trained


def _unseen(settings: str) -> tuple[list[int], Staging]:
    """Test identities of the data set that the run was trained on, and how they are filmed."""
    import yaml

    data = yaml.safe_load(settings)["data"]["init_args"]
    return split_identities(data["identities"], data["seed"])["test"], Staging.of(data)


def _table(task: str, judged: list[Judged]) -> Table:
    rows = [row for one in judged for row in one.rows if row["task"] == task]
    controls = [system for system in SYSTEMS if system != "model"]
    title = f"{task}-reenactment of unseen people, uint8 frames in memory"
    return summary_table(rows, COLUMNS, SYSTEMS, controls, "model", title=title)


def _videos(out: Path, judged: list[Judged]) -> list[tuple[Path, str]]:
    """Side by side: portrait | driving | output | truth."""
    made = []
    for task in TASKS:
        for index, one in enumerate([one for one in judged if one.case.task == task][:SHOWN]):
            path = out / f"{task}{index}.mp4"
            write_side_by_side(path, one)
            made.append((path, f"{one.case.clip} ({task}): portrait | driving | output | true picture"))
    return made


def _page(
    animator: Animator,
    tables: list[Table],
    videos: list[tuple[Path, str]],
    sheet: Path,
    log: Path,
    settings: str,
    clock: dict[str, float],
) -> str:
    size = animator.renderer.size
    lead = (
        f"A model of {parameters(animator) / 1e6:.2f} million parameters at {size} px was trained on this machine in "
        f"{clock['train'] / 60:.1f} minutes, on synthetic people. The people below were never shown to it. "
        "A tiny model proves that everything works together; it does not show the quality of the method."
    )
    quality = "".join(page.scroll(table.html()) for table in tables)
    quality += page.paragraph(
        "Cross-reenactment is judged against the true picture: the portrait's person drawn with the driving clip's "
        "pose, place and expression. Shuffled driving frames are the negative control: a model that ignored motion "
        "would not suffer from them. Identical frames count as 100 dB."
    )
    psnr = {"this model": logged(log, "val/psnr"), "copy the source": logged(log, "val/psnr_copy")}
    curves = page.curves({"loss": logged(log, "train/loss_step")}, "step", "training loss")
    curves += page.curves(psnr, "step", "PSNR of validation people (dB)")
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in clock.items())
    machine = (
        f"talkingface {__version__}, torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads"
    )
    return page.page(
        "talkingface demo",
        lead,
        [
            ("Portraits that move", "".join(page.video(path, caption) for path, caption in videos)),
            ("Measured", quality),
            ("Training", curves),
            ("The synthetic people", page.picture(sheet, "every frame comes with its ground truth")),
            ("Settings", page.paragraph(f"{times}; {machine}; seed and settings:") + page.listing(settings)),
        ],
    )
