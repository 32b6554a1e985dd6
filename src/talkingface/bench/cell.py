"""One cell of a bench: train a variant with a seed, judge it on unseen synthetic people, write the result whole.

``python -m talkingface.bench.cell CELL.json``, started by :mod:`talkingface.bench.runner` in a process of its own.
"""

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
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from talkingface import registry
from talkingface._version import __version__
from talkingface.bench.plan import FORMAT, LEAKAGE, TRUTH
from talkingface.bench.runner import is_here
from talkingface.core.errors import TalkingFaceError
from talkingface.core.files import atomic_folder
from talkingface.core.media import VideoWriter
from talkingface.core.provenance import git_commit
from talkingface.core.records import ClipPrediction
from talkingface.evaluation.leakage import Codes, encode_clips, identity_leakage
from talkingface.evaluation.scoring import Extractors, Scorer, metric_class, needed_features
from talkingface.evaluation.synthetic import (
    SYSTEMS,
    Frames,
    KnownReenactment,
    cross_reenactments,
    score_frames,
    self_reenactments,
)
from talkingface.evaluation.synthetic_extractors import synthetic_extractors
from talkingface.metrics import Extractor, ScoredClip, Track
from talkingface.pipelines.animator import Animator, load
from talkingface.pipelines.export import export_checkpoint

REENACT = {"self": self_reenactments, "cross": cross_reenactments}
SHOWN = 2  # clips of each kind on the page
WIDTH = 192  # pixels of each picture in a video; 64 are hard to see
BATCH = 16  # frames rendered together
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
    fit, cell = Path(job["fit"]), Path(job["cell"])
    if not fit.is_dir():
        with atomic_folder(fit) as part:
            _train(job, part)
    trained = json.loads((fit / "fit.json").read_text(encoding="utf-8"))
    with atomic_folder(cell) as part:
        start = time.perf_counter()
        animator = load(fit / "model", "cpu")
        judged = _judge(animator, job, part)
        seconds = {"train": trained["seconds"], "evaluate": time.perf_counter() - start}
        peak = {"train": trained["peak_gb"], "evaluate": _peak_gb(resource.RUSAGE_SELF)}
        result = {
            **{key: job[key] for key in ("name", "variant", "seed", "steps", "key", "fit_key", "evaluation", "config")},
            "format": FORMAT,
            "parameters": parameters(animator),
            "seconds": seconds,
            "peak_gb": peak,
            "versions": _versions(),
            "git": {"train": trained["git"], "evaluate": git_commit()},
            **judged,
        }
        (part / "cell.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def parameters(animator: Animator) -> int:
    """Number of different parameters; parts that share an encoder count it once."""
    return sum(
        p.numel() for p in {p for part in (animator.motion_encoder, animator.renderer) for p in part.parameters()}
    )


def _train(job: Job, folder: Path) -> None:
    """Leaves ``model/``, ``metrics.csv``, ``config.yaml`` and ``fit.json`` in the folder."""
    run = folder / "run"
    settings = dict(job["config"])
    settings["seed_everything"] = job["seed"]
    settings["trainer"] = settings.get("trainer", {}) | {
        "max_steps": job["steps"],
        "max_epochs": -1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": str(run),
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
    logs = checkpoints[-1].parents[1]
    for name in ("metrics.csv", "config.yaml"):
        shutil.copy(logs / name, folder / name)
    shutil.rmtree(run)
    recipe.unlink()
    about = {
        "seconds": time.perf_counter() - start,
        "peak_gb": _peak_gb(resource.RUSAGE_CHILDREN),
        "git": git_commit(),
        "key": job["fit_key"],
    }
    (folder / "fit.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _judge(animator: Animator, job: Job, folder: Path) -> dict[str, Any]:
    """Every metric of every system on the same clips; the first clips are kept as videos."""
    wanted, evaluation = job["metrics"], job["evaluation"]
    people, seed, frames = job["people"], evaluation["seed"], evaluation["frames"]
    metrics = [name for name in wanted if name not in TRUTH and name != LEAKAGE]
    extractors = Extractors("cpu", given=synthetic_extractors())  # networks for real faces do not know drawn ones
    missing = {name: lacking for name in metrics if (lacking := lacking_networks(name, extractors.built))}
    metrics = [name for name in metrics if name not in missing]
    scorer = Scorer(metrics, extractors, [f"{task}/{system}" for task in REENACT for system in SYSTEMS])
    rows = []
    for task, reenact in REENACT.items():
        for index, case in enumerate(reenact(people, seed, frames, animator.renderer.size)):
            drawn = _systems(animator, case)
            if index < SHOWN:
                _video(folder / f"{task}{index}.mp4", case, drawn["model"])
            for system, clip in _clips(case, drawn, extractors):
                row = scorer.score(f"{task}/{system}", clip, {"identity": str(case.identity)})
                if set(wanted) & set(TRUTH):
                    kept = case.portrait_expression if task == "cross" else None
                    row |= score_frames(drawn[system], case.truth, kept)
                rows.append(row | {"task": task, "system": system})
    return {
        "rows": rows,
        "sets": scorer.set_reports(),
        "leakage": _leakage(animator, people, seed) if LEAKAGE in wanted else {},
        "missing": missing,
        "failures": [vars(failure) for failure in scorer.failures],
        "conventions": {name: metric_class(name).convention for name in metrics}
        | {name: extractors[name].convention for kind in map(metric_class, metrics) for name in needed_features(kind)},
    }


def _leakage(animator: Animator, people: list[int], seed: int) -> dict[str, Any]:
    """Accuracy of the identity probe: fitted to two clips of each person, tested on a third."""

    def codes(seeds: list[int]) -> Codes:
        return encode_clips(
            lambda clip: animator.motion(clip).numpy(), people, seeds, PROBE_FRAMES, animator.renderer.size
        )

    return asdict(identity_leakage(codes([seed + 2, seed + 3]), codes([seed + 4]), seed))


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


def _systems(animator: Animator, case: KnownReenactment) -> dict[str, Frames]:
    """What each system shows: the model, its baseline, its negative control, and the truth."""
    source = animator.appearance(case.portrait)

    def drawn_after(frames: Frames) -> Frames:
        parts = [frames[start : start + BATCH] for start in range(0, len(frames), BATCH)]
        return np.concatenate([animator.render(source, animator.motion(part)) for part in parts])

    copies = np.broadcast_to(case.portrait, case.picture.shape)
    return dict(zip(SYSTEMS, (drawn_after(case.driving), copies, drawn_after(case.other), case.picture), strict=True))


def _clips(
    case: KnownReenactment, drawn: dict[str, Frames], extractors: Extractors
) -> Iterator[tuple[str, ScoredClip]]:
    """Every system's frames beside the same target, whose features are looked for once."""
    truth, portrait = _stack(case.picture), _stack(case.portrait[None])[0]
    model = ScoredClip.of(ClipPrediction(case.clip, _stack(drawn["model"]), truth, portrait), extractors)
    assert model.target is not None
    for system in SYSTEMS:
        if system == "model":
            yield system, model
        elif system == "ground truth":
            yield system, model.with_video(model.target.select(range(len(truth))))
        else:
            yield system, model.with_video(Track(_stack(drawn[system]), extractors))


def _video(path: Path, case: KnownReenactment, drawn: Frames) -> None:
    """Side by side: portrait | driving | output | true picture."""
    times = max(1, WIDTH // case.portrait.shape[1])
    with VideoWriter(path) as writer:
        for driving, output, truth in zip(case.driving, drawn, case.picture, strict=True):
            row = np.concatenate([case.portrait, driving, output, truth], axis=1)
            writer.write(row.repeat(times, 0).repeat(times, 1))


def _stack(frames: Frames) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3)


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
