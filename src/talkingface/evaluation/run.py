"""One evaluation: every clip scored beside its controls, by one process or several, and written down with its card."""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import ProcessRaisedException, spawn

from talkingface.core.errors import MediaError, ShapeError, TalkingFaceError, UnscorableError, WeightsError
from talkingface.evaluation.card import circumstances, protocol
from talkingface.evaluation.controls import SPEECH, control_clips
from talkingface.evaluation.inputs import output_path
from talkingface.evaluation.job import Job
from talkingface.evaluation.reading import ClipReader
from talkingface.evaluation.scoring import Extractors, Failure, Row, Scorer, check_metrics
from talkingface.metrics import Extractor, ScoredClip

EMBEDDINGS = ("arcface", "arcface-whole", "facenet")  # features whose clip means tell persons apart


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Args:
        rows: one for each system and clip, in the order of systems, then of names.
        failures: what has no value, with its reason.
        sets: system → metric of sets → report.
        embeddings: feature → clip → mean embedding of its reference, ``(C,)``.
        protocol: the card; see :mod:`talkingface.evaluation.card`.
        run: circumstances, seconds and counts.
    """

    rows: list[Row]
    failures: list[Failure]
    sets: dict[str, dict[str, dict[str, Any]]]
    embeddings: dict[str, dict[str, Tensor]]
    protocol: dict[str, Any]
    run: dict[str, Any]


def evaluate(job: Job, processes: int = 1, progress: Callable[[int, int], None] | None = None) -> Outcome:
    """Score all pairs of a job.

    Args:
        job: what to evaluate.
        processes: how many share the clips; the numbers are the same.
        progress: told the clips done and their total, when there is one process.

    Raises:
        ConfigError: for an unknown metric.
    """
    check_metrics(job.metrics)
    start = time.perf_counter()
    count = len(job.pairing.pairs)
    processes = max(1, min(processes, count))
    if processes == 1:
        shares = [_score_share(job, range(count), progress)]
    else:
        with tempfile.TemporaryDirectory() as folder:
            try:
                spawn(_work, (job, processes, folder), nprocs=processes)
            except ProcessRaisedException as error:
                reason = str(error).strip().splitlines()[-1]
                raise TalkingFaceError(f"a process of the evaluation failed ({reason}); try --processes 1.") from error
            shares = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(processes)]
    order = {system: place for place, system in enumerate(job.systems)}
    embeddings: dict[str, dict[str, Tensor]] = {}
    for share in shares:
        for feature, clips in share["embeddings"].items():
            embeddings.setdefault(feature, {}).update(clips)
    return Outcome(
        rows=sorted(_all(shares, "rows"), key=lambda row: (order[str(row["system"])], str(row["clip"]))),
        failures=sorted(
            {Failure(**failure) for failure in _all(shares, "failures")},
            key=lambda failure: (order.get(failure.system, -1), failure.clip, failure.metric, failure.reason),
        ),
        sets=shares[0]["sets"],
        embeddings=embeddings,
        protocol=protocol(
            job,
            sorted(set(_all(shares, "paths"))),
            sorted(set(_all(shares, "sizes"))),
            _merged([share["networks"] for share in shares]),
        ),
        run=circumstances()
        | {
            "name": job.name,
            "seconds": round(time.perf_counter() - start, 3),
            "processes": processes,
            "device": job.device,
            "clips": count,
            "unpaired": list(job.pairing.unpaired),
        },
    )


def _all(shares: list[dict[str, Any]], key: str) -> list[Any]:
    return [item for share in shares for item in share[key]]


def _merged(networks: list[dict[str, Any]]) -> dict[str, Any]:
    """What processes say of their networks; lists, such as the sample rates that one has met, are put together."""
    merged: dict[str, Any] = {}
    for name, facts in (item for found in networks for item in found.items()):
        known = merged.setdefault(name, facts)
        merged[name] = {
            key: sorted({*known[key], *value}) if isinstance(value, list) else value for key, value in facts.items()
        }
    return merged


def _work(rank: int, job: Job, processes: int, folder: str) -> None:
    """One of several processes: a block of neighbouring clips, so that what neighbours share is read once."""
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=processes)
    if job.device == "cuda":
        job = replace(job, device=f"cuda:{rank % torch.cuda.device_count()}")
    count = len(job.pairing.pairs)
    share = _score_share(job, range(rank * count // processes, (rank + 1) * count // processes), None)
    torch.save(share, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def _score_share(job: Job, mine: range, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    """Score some of the pairs; gives plain values and tensors only, so that processes can hand them over."""
    given: dict[str, Extractor] = {}
    if job.synthetic:
        from talkingface.evaluation.synthetic_extractors import synthetic_extractors

        given = dict(synthetic_extractors(job.device))
    extractors = Extractors(job.device, job.weights, given)
    scorer = Scorer(job.metrics, extractors, job.systems, job.settings)
    reader = ClipReader(job, extractors)
    embeddings: dict[str, dict[str, Tensor]] = {name: {} for name in EMBEDDINGS if name in scorer.features()}
    paths: set[str] = set()
    sizes: set[str] = set()
    for done, index in enumerate(mine):
        frames = _score_prediction(job, scorer, reader, index, paths, sizes)
        if job.controls:
            _score_controls(job, scorer, reader, index, frames)
        for name, means in embeddings.items():
            with suppress(UnscorableError, WeightsError, MediaError, ShapeError):
                means[job.pairing.pairs[index].clip] = reader.reference(index)[f"target.{name}"].nanmean(0)
        if progress is not None:
            progress(done + 1, len(mine))
    return {
        "rows": scorer.rows,
        "failures": [asdict(failure) for failure in scorer.failures],
        "sets": scorer.set_reports(),
        "embeddings": embeddings,
        "paths": list(paths),
        "sizes": list(sizes),
        "networks": scorer.networks(),
    }


def _score_prediction(
    job: Job, scorer: Scorer, reader: ClipReader, index: int, paths: set[str], sizes: set[str]
) -> int:
    """Score one prediction, and give the number of its frames (0 when it cannot be read)."""
    pair = job.pairing.pairs[index]
    facts: dict[str, str | int] = {"identity": pair.identity}
    count = 0
    try:
        video = reader.prediction(index)
        paths.add(output_path(pair.pred))
        count = facts["frames_pred"] = len(video)
        reference = reader.reference(index)
        facts["frames_target"] = 1 if job.cross else len(reference.video)
        clip = reader.together(index, video)
    except (MediaError, ShapeError) as error:
        scorer.unreadable(job.name, pair.clip, facts, str(error))
        return count
    sizes.add("×".join(str(side) for side in reversed(clip.video.data.shape[-2:])))
    scorer.score(job.name, clip, facts | {"frames": len(clip.video)})
    return count


def _score_controls(job: Job, scorer: Scorer, reader: ClipReader, index: int, frames: int) -> None:
    """Score the controls of one pair; in cross-reenactment they are as long as the prediction."""
    pair = job.pairing.pairs[index]
    neighbour = job.neighbour(index)
    try:
        clip = reader.reference(index)
        other = None if neighbour is None else reader.reference(neighbour)
    except (MediaError, ShapeError) as error:
        for system in job.systems[1:]:
            scorer.unreadable(system, pair.clip, {"identity": pair.identity}, str(error))
        return
    if job.cross:
        clip, other = _lasting(clip, frames), other and _lasting(other, frames)
    for system, control in control_clips(clip, other, job.cross):
        if system in job.systems:
            facts: dict[str, str | int] = {"identity": pair.identity, "frames": len(control.video)}
            scorer.score(system, control, facts, only="audio" if system == SPEECH else None)


def _lasting(portrait: ScoredClip, frames: int) -> ScoredClip:
    assert portrait.target is not None
    return replace(portrait, target=portrait.target.select(torch.zeros(max(1, frames), dtype=torch.long)))
