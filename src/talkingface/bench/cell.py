"""One cell of a bench: train a variant with a seed, judge it on unseen synthetic people, write the result whole.

``python -m talkingface.bench.cell CELL.json``, started by :mod:`talkingface.bench.runner` in a process of its own.
"""

import copy
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from talkingface import registry
from talkingface._version import __version__
from talkingface.bench.columns import CANONICAL, LEAKAGE, PROBES, SPEECH_TRUTH, SPEED, TRUTH
from talkingface.bench.first_loss import FILE as FIRST_LOSS
from talkingface.bench.options import set_option
from talkingface.bench.plan import FORMAT, NEEDS
from talkingface.bench.reenactment import judge, scored_systems, write_side_by_side
from talkingface.bench.runner import is_here
from talkingface.bench.speaking import judge_speech
from talkingface.bench.speed import measured_speed
from talkingface.core.errors import TalkingFaceError
from talkingface.core.files import atomic_folder, made_once
from talkingface.core.images import to_float
from talkingface.core.provenance import git_commit
from talkingface.data.synthetic import Staging
from talkingface.evaluation.leakage import Codes, canonical_variance, encode_clips, identity_leakage
from talkingface.evaluation.scoring import Extractors, Scorer, metric_class, needed_features
from talkingface.evaluation.synthetic_extractors import synthetic_extractors
from talkingface.metrics import Extractor
from talkingface.pipelines.animator import Animator, load
from talkingface.pipelines.export import export_checkpoint

SHOWN = 2  # clips of each kind on the page
PROBE_FRAMES = 12  # of each clip of the identity probe
WITH_PARENT = "--with-parent"

Job = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Run the cell that a JSON file describes.

    Args:
        arguments: the file; :data:`WITH_PARENT` behind it ends the cell when its standard input closes.
    """
    if WITH_PARENT in arguments:
        _die_with_parent()
    job: Job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        run_cell(job)
    except TalkingFaceError as error:
        sys.stderr.write(f"{job['name']}: {error}\n")
        return 1
    return 0


def run_cell(job: Job) -> None:
    """Train and judge what was not trained and judged before.

    Args:
        job: as :func:`talkingface.bench.runner.job_of` makes it.

    Raises:
        TalkingFaceError: when training stopped, or whatever else was wrong with this variant.
    """
    torch.set_num_threads(1)
    fit, cell = _fitted(job["fit"]), Path(job["cell"])
    trained = json.loads((fit / "fit.json").read_text(encoding="utf-8"))
    with atomic_folder(cell) as part:
        start = time.perf_counter()
        animator = load(fit / "model", "cpu")
        judged = _judge(animator, job, part)
        seconds = {"train": trained["seconds"], "evaluate": time.perf_counter() - start}
        peak = {"train": trained["peak_gb"], "evaluate": _peak_gb(resource.RUSAGE_SELF)}
        result = {
            **{key: job[key] for key in ("name", "variant", "key", "evaluation", "tasks", "animate")},
            **{key: job["fit"][key] for key in ("seed", "steps", "config")},
            "fit_key": job["fit"]["key"],
            "format": FORMAT,
            "parameters": parameters(animator),
            "one_step_loss": trained.get("one_step_loss"),
            "seconds": seconds,
            "peak_gb": peak,
            "versions": _versions(),
            "git": {"train": trained["git"], "evaluate": git_commit()},
            **judged,
        }
        (part / "cell.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def parameters(animator: Animator) -> int:
    """Number of different parameters; parts that share an encoder count it once."""
    parts = (animator.motion_encoder, animator.renderer, animator.audio_encoder, animator.motion_generator)
    return sum(p.numel() for p in {p for part in parts if part is not None for p in part.parameters()})


def _fitted(fit: Job) -> Path:
    """Folder of a trained model; trained now unless it was before, and never by two processes at once."""
    folder = Path(fit["folder"])
    with made_once(folder) as missing:  # variants of stage 2 share one stage 1
        if missing:
            needs = {name: _fitted(first) / "model" for name, first in fit["needs"].items()}
            with atomic_folder(folder) as part:
                _train(fit, part, needs)
    return folder


def _train(fit: Job, folder: Path, needs: Mapping[str, Path]) -> None:
    """Leaves ``model/``, ``metrics.csv``, ``config.yaml`` and ``fit.json`` in the folder."""
    run = folder / "run"
    settings = copy.deepcopy(fit["config"])
    settings["seed_everything"] = fit["seed"]
    for name, model in needs.items():
        set_option(settings, NEEDS[name], str(model))
    trainer = settings.get("trainer", {})
    settings["trainer"] = trainer | {
        "max_steps": fit["steps"],
        "max_epochs": -1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": str(run),
        "callbacks": [*trainer.get("callbacks", []), {"class_path": "talkingface.bench.first_loss.FirstLoss"}],
        "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": str(run)}},
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    start = time.perf_counter()
    command = [sys.executable, "-m", "talkingface", "fit", "-c", str(recipe)]
    if code := subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise TalkingFaceError(f"training stopped with exit code {code}, see above.")
    checkpoints = sorted(run.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    if not checkpoints:
        raise TalkingFaceError("training left no checkpoint; let the recipe's ModelCheckpoint save one.")
    export_checkpoint(checkpoints[-1], folder / "model")
    loss = json.loads((run / FIRST_LOSS).read_text(encoding="utf-8"))
    logs = checkpoints[-1].parents[1]
    for name in ("metrics.csv", "config.yaml"):
        shutil.copy(logs / name, folder / name)
    shutil.rmtree(run)
    recipe.unlink()
    about = {
        "seconds": time.perf_counter() - start,
        "peak_gb": _peak_gb(resource.RUSAGE_CHILDREN),
        "git": git_commit(),
        "key": fit["key"],
        "one_step_loss": loss,
    }
    (folder / "fit.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _judge(animator: Animator, job: Job, folder: Path) -> dict[str, Any]:
    """Every metric of every system on the same clips; the first clips are kept as videos."""
    wanted, evaluation, tasks = job["metrics"], job["evaluation"], tuple(job["tasks"])
    people, seed, frames = job["people"], evaluation["seed"], evaluation["frames"]
    known = {*TRUTH, *SPEECH_TRUTH}
    metrics = [name for name in wanted if name not in known and name not in (*PROBES, *SPEED)]
    staging = Staging.of(job["fit"]["config"]["data"].get("init_args", {}))  # as it was trained
    extractors = Extractors("cpu", given=synthetic_extractors())  # networks for real faces do not know drawn ones
    missing = {name: lacking for name in metrics if (lacking := lacking_networks(name, extractors.built))}
    metrics = [name for name in metrics if name not in missing]
    scorer = Scorer(metrics, extractors, scored_systems(tasks))
    rows = []
    shown = dict.fromkeys(tasks, 0)
    cases = (
        judge(animator, people, seed, frames, scorer, staging, truth=bool(set(wanted) & known))
        if animator.motion_generator is None
        else judge_speech(animator, tasks, people, seed, frames, scorer, staging, job["animate"])
    )
    for judged in cases:
        task = judged.case.task
        if shown[task] < SHOWN:
            write_side_by_side(folder / f"{task}{shown[task]}.mp4", judged)
            shown[task] += 1
        rows += judged.rows
    return {
        "rows": rows,
        "sets": scorer.set_reports(),
        "leakage": _leakage(animator, people, seed, staging) if LEAKAGE in wanted else {},
        "canonical": _canonical(animator, people, seed, staging) if CANONICAL in wanted else {},
        "speed": measured_speed(animator, people[0], seed, frames, staging) if set(wanted) & set(SPEED) else {},
        "missing": missing,
        "failures": [vars(failure) for failure in scorer.failures],
        "conventions": {name: metric_class(name).convention for name in metrics}
        | {name: extractors[name].convention for kind in map(metric_class, metrics) for name in needed_features(kind)},
    }


def _leakage(animator: Animator, people: list[int], seed: int, staging: Staging) -> dict[str, Any]:
    """Accuracy of the identity probe: fitted to two clips of each person, tested on a third."""

    def codes(seeds: list[int]) -> Codes:
        return encode_clips(
            lambda clip: animator.motion(clip).numpy(), people, seeds, PROBE_FRAMES, animator.renderer.size, staging
        )

    return asdict(identity_leakage(codes([seed + 2, seed + 3]), codes([seed + 4]), seed))


@torch.inference_mode()
def _canonical(animator: Animator, people: list[int], seed: int, staging: Staging) -> dict[str, float]:
    """How much canonical keypoints vary over the clips of the identity probe; nothing where there are none."""
    encoder, size = animator.motion_encoder, animator.renderer.size
    if encoder.spec.convention is None:
        return {}
    seeds = [seed + 2, seed + 3, seed + 4]
    codes = encode_clips(
        lambda clip: encoder.canonical(to_float(clip)).numpy(), people, seeds, PROBE_FRAMES, size, staging
    )
    return {"variance": canonical_variance(codes)}


def lacking_networks(metric: str, given: Collection[str] = ()) -> list[str]:
    """Networks of a metric, and of what it needs, whose weights are not on this machine.

    Args:
        metric: its registry name.
        given: features that need none of the registry's extractors.
    """
    kind = metric_class(metric)
    names: Iterable[str] = kind.networks
    for feature in sorted((needed_features(kind) & set(registry.names("extractor"))) - set(given)):
        extractor: type[Extractor] = registry.load("extractor", feature)
        names = (*names, *extractor.networks)
    return [name for name in dict.fromkeys(names) if not is_here(name)]


def _peak_gb(who: int) -> float:
    kilobytes = resource.getrusage(who).ru_maxrss  # bytes on macOS
    return kilobytes / (1 << 30 if sys.platform == "darwin" else 1 << 20)


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "lightning", "torchmetrics", "numpy")}
    return {"talkingface": __version__, "python": platform.python_version(), **packages, "machine": platform.machine()}


def _die_with_parent() -> None:
    """End this process and its training when the runner is gone, however it went: its end of the pipe closes."""

    def wait() -> None:
        os.read(0, 1)  # nothing is ever written: it returns when the other end is closed
        if os.getpgrp() == os.getpid():  # never the group of somebody else
            os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
