"""The protocol card: everything that a number depends on, in a file, with a hash that says whether two compare."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from talkingface._version import __version__
from talkingface.core.provenance import git_commit
from talkingface.evaluation.inputs import FPS, output_path
from talkingface.evaluation.job import Job
from talkingface.evaluation.scoring import metric_class
from talkingface.metrics import ClipMetric

FORMAT = 1
PACKAGES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "numpy",
    "av",
    "decord",
    "lpips",
    "facenet-pytorch",
    "face-alignment",
)
LENGTH_RULE = "frames that both have are scored, from the first on; both lengths stand in the row; none is invented"
FAILURE_RULE = (
    "a frame without a detection scores the metric's worst value where it has one, else it is left out and counted; "
    "a clip that cannot be scored is counted and listed, and is in no mean"
)
AGGREGATION = "mean over frames → mean over a person's clips → mean over persons"


def protocol(job: Job, paths: list[str], sizes: list[str], networks: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the numbers of an evaluation depend on, beside what was evaluated.

    Args:
        job: the evaluation.
        paths: what the predictions' pixels went through, such as ``["h264"]``.
        sizes: of the scored frames, such as ``["256×256"]``.
        networks: name → files and convention of what was looked through.
    """
    pairs = job.pairing.pairs
    references = [(pair.clip, pair.target or pair.source) for pair in pairs]
    kinds = sorted({output_path(pair.target) for pair in pairs if pair.target is not None})
    sounds = [pair.audio for pair in pairs]
    given = any(sound not in (pair.target, pair.pred) for pair, sound in zip(pairs, sounds, strict=True))
    metrics = {name: metric_class(name) for name in job.metrics}
    return {
        "format": FORMAT,
        "mode": "cross-reenactment" if job.cross else "self-reenactment",
        "reference": "the portrait, for every frame" if job.cross else "target frame t",
        "data": {
            "clips": len(pairs),
            "identities": len({pair.identity for pair in pairs}),
            "sha256": data_hash(references),
        },
        "clips": sorted(pair.clip for pair in pairs),
        "fps": FPS,
        "resampling": "frame i is the last one stored before (i + 1/2) / 25 s",
        "size": job.size or "as stored",
        "pixels": sizes,
        "kernel": "bilinear with anti-aliasing" if job.size else "none",
        "crop": "none; frames are scored as they are",
        "skipped frames": job.skip,
        "output path": paths,
        "reference path": kinds or ["portrait"],
        "audio": f"{'given files' if given else 'sound of the reference, else of the prediction'}; 16 kHz mono PCM",
        "labels": sorted(job.labels),
        "synthetic": job.synthetic,
        "metrics": {name: metric.convention for name, metric in metrics.items()},
        "settings": {name: dict(values) for name, values in job.settings.items() if values},
        "penalties": {name: _penalty(metric) for name, metric in metrics.items()},
        "networks": dict(networks),
        "lengths": LENGTH_RULE,
        "failures": FAILURE_RULE,
        "aggregation": AGGREGATION,
        "intervals": "95 %, percentile bootstrap over identities, 2000 resamples, seed 0",
        "controls": job.systems[1:],
    }


def card_hash(protocol: Mapping[str, Any]) -> str:
    """Twelve digits that are equal where two protocols are.

    Args:
        protocol: plain JSON.

    >>> card_hash({"size": 256, "mode": "self"}) == card_hash({"mode": "self", "size": 256})
    True
    """
    text = json.dumps(protocol, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def data_hash(files: Iterable[tuple[str, Path | None]]) -> str:
    """SHA-256 over names and contents of the reference clips; a folder of pictures counts by its files.

    Args:
        files: name and path of each clip.
    """
    total = hashlib.sha256()
    for name, path in sorted((name, path) for name, path in files if path is not None):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with file.open("rb") as content:
                total.update(name.encode() + hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What two protocols do not share, one line each.

    A metric that only one of them has makes no difference: it stands in one column only.

    Args:
        first, second: protocols.

    >>> differences({"size": 256, "metrics": {"psnr": "a"}}, {"size": 512, "metrics": {"psnr": "a", "ssim": "b"}})
    ['size: 256 | 512']
    """
    lines = []
    for key in sorted(first.keys() | second.keys()):
        ours, theirs = first.get(key), second.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            shared = ours.keys() & theirs.keys()
            changed = (name for name in sorted(shared) if ours[name] != theirs[name])
            lines += [f"{key} {name}: {_short(ours[name])} | {_short(theirs[name])}" for name in changed]
        elif ours != theirs:
            lines.append(f"{key}: {_short(ours)} | {_short(theirs)}")
    return lines


def circumstances() -> dict[str, Any]:
    """What is recorded beside the protocol, but does not decide whether numbers compare: versions, machine, commit."""
    return {
        "talkingface": __version__,
        "git": git_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _penalty(metric: type[ClipMetric]) -> str:
    penalty = getattr(metric, "penalty", None)
    return "lost frames are left out and counted" if penalty is None else f"a lost frame scores {penalty}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
