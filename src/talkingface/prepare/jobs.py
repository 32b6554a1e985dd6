"""Units of work, each done by one process at a time: what is in one, under which key its outcome is kept."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from talkingface.core.files import write_text
from talkingface.data.folder import SPLITS, split_of
from talkingface.prepare.disk import full_disk_stops
from talkingface.prepare.networks import Networks
from talkingface.prepare.records import Clip, Dropped, Outcome, Source
from talkingface.prepare.settings import Settings
from talkingface.prepare.source import ENOUGH, prepare_source
from talkingface.weights import sha256

SHARES = (0.8, 0.1, 0.1)  # of people in train, val and test, where the layout has no splits
ENDS = 2**14  # bytes of each end of a file that are compared first
DEVELOPMENT = (0.9, 0.1, 0.0)  # where it only sets the test apart


@dataclass(frozen=True)
class Job:
    """Sources that are done one after the other: one, or all of a person where a few clips are enough.

    Attributes:
        sources: in the order in which they are tried.
        copies: for each the earlier file with the same bytes, below the prepared folder; empty for none.
    """

    sources: tuple[Source, ...]
    copies: tuple[str, ...]


def plan(sources: Iterable[Source], src: Path, copies: dict[Path, Path], settings: Settings) -> Iterator[Job]:
    """Cut a layout's sources into jobs, and give a split to people who have none.

    Args:
        sources: those of a person follow each other.
        src: the folder that is prepared.
        copies: of :func:`find_copies`.
        settings: ``clips_per_identity`` and ``seed`` count here.
    """

    def job(group: Iterable[Source]) -> Job:
        found = tuple(replace(one, split=_split(one, settings.seed)) for one in group)
        return Job(found, tuple(below(copies[one.path], src) if one.path in copies else "" for one in found))

    if not settings.clips_per_identity:
        yield from (job((source,)) for source in sources)
        return
    for _, group in groupby(sources, key=lambda source: source.identity):
        yield job(sorted(group, key=lambda one: hashlib.sha256(f"{settings.seed}:{one.name}".encode()).digest()))


def _split(source: Source, seed: int) -> str:
    if source.split in SPLITS:
        return source.split
    return split_of(source.identity, DEVELOPMENT if source.split == "dev" else SHARES, seed)


def find_copies(sources: Callable[[], Iterable[Source]]) -> tuple[dict[Path, Path], int]:
    """Files that are there twice, by content.

    Of a million videos a fifth have another's size: of those the ends are read, and all of the few that then still
    look alike. Eight bytes of each file are in memory, and the copies.

    Args:
        sources: gives a layout's sources, as often as it is called.

    Returns:
        Copy → the first such file, and the number of sources.
    """
    count = 0

    def counted() -> Iterator[Source]:
        nonlocal count
        for source in sources():
            count += 1
            yield source

    sizes = _repeated(_size(path) for path in _files(counted())) - {0}
    ends = _repeated(_ends(path) for path in _files(sources()) if _size(path) in sizes)
    first: dict[str, Path] = {}
    copies: dict[Path, Path] = {}
    for path in _files(sources()) if ends else ():
        if _size(path) in sizes and _ends(path) in ends:
            original = first.setdefault(sha256(path), path)
            if original != path:
                copies[path] = original
    return copies, count


def _files(sources: Iterable[Source]) -> Iterator[Path]:
    """Each file once: spans of one video follow each other."""
    return (path for path, _ in groupby(source.path for source in sources))


def _repeated(numbers: Iterable[int]) -> set[int]:
    """Those that are there twice."""
    found, counts = np.unique(np.fromiter(numbers, np.int64), return_counts=True)
    return set(found[counts > 1].tolist())


def _ends(path: Path) -> int:
    """Hash of the size and of both ends of a file, where containers keep their tables."""
    size = _size(path)
    with path.open("rb") as file:
        digest = hashlib.sha256(size.to_bytes(8, "big") + file.read(ENDS))
        file.seek(max(0, size - ENDS))
        digest.update(file.read(ENDS))
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


def below(path: Path, src: Path) -> str:
    """How a source is named in manifest and report."""
    return path.relative_to(src).as_posix() if path.is_relative_to(src) else str(path)


def key_of(job: Job, src: Path, settings: Settings) -> str:
    """Hash of all that the outcome of a job depends on; a file counts by size and time of change."""
    facts: list[object] = [settings.fingerprint(), job.copies]
    for source in job.sources:
        try:
            state = source.path.stat()
            touched = [state.st_size, state.st_mtime_ns]
        except OSError:
            touched = []
        facts.append([asdict(replace(source, path=Path(below(source.path, src)))), touched])
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def kept(dst: Path, key: str) -> Path:
    """Where the outcome of a job is kept."""
    return dst / "work" / key[:2] / f"{key}.json"


def read_outcome(path: Path) -> Outcome:
    """What a job of an earlier or of this run found."""
    return Outcome.from_json(json.loads(path.read_text(encoding="utf-8")))


def do(job: Job, src: Path, dst: Path, settings: Settings, networks: Networks) -> None:
    """Do a job and keep its outcome, which marks it as done.

    Raises:
        TalkingFaceError: when the disk is full.
    """
    with full_disk_stops(dst):
        content = _outcome(job, src, dst, settings, networks).to_json()
        write_text(kept(dst, key_of(job, src, settings)), json.dumps(content))


def _outcome(job: Job, src: Path, dst: Path, settings: Settings, networks: Networks) -> Outcome:
    clips, dropped = list[Clip](), list[Dropped]()
    limit = settings.clips_per_identity or None
    for source, original in zip(job.sources, job.copies, strict=True):
        inside = below(source.path, src)
        left = None if limit is None else limit - len(clips)
        if original:
            dropped.append(Dropped(inside, source.start, 0.0, "duplicate", f"the same file as {original}"))
        elif left == 0:
            dropped.append(Dropped(inside, source.start, 0.0, "enough", ENOUGH))
        else:
            found = prepare_source(source, inside, settings, dst, networks, left)
            clips.extend(found.clips)
            dropped.extend(found.dropped)
    return Outcome(tuple(clips), tuple(dropped))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() and os.access(path, os.R_OK) else 0
    except OSError:
        return 0
