"""Which prediction is compared with which target, by name; nothing that does not pair goes unsaid."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from talkingface.core.errors import ConfigError, MediaError, did_you_mean
from talkingface.core.media import is_picture
from talkingface.evaluation.inputs import find_clips, find_sounds


@dataclass(frozen=True)
class Pair:
    """One prediction and what it is compared with.

    Args:
        clip: name of the clip.
        identity: name of the person; clips of one person are no independent observations.
        pred: the predicted clip.
        target: the true clip, absent in cross-reenactment.
        source: the portrait.
        audio: the speech: a sound file, or a video with a sound track.
    """

    clip: str
    identity: str
    pred: Path
    target: Path | None = None
    source: Path | None = None
    audio: Path | None = None


@dataclass(frozen=True)
class Pairing:
    """What was found.

    Args:
        pairs: in an order in which neighbours show different people, as far as there are.
        unpaired: lines for the report: what has no counterpart, or two.
    """

    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]


def pair_clips(
    pred: str | Path,
    target: str | Path | None = None,
    source: str | Path | None = None,
    audio: str | Path | None = None,
    identities: Mapping[str, str] | None = None,
) -> Pairing:
    """Pair clips by name; two single files are a pair whatever they are called.

    Args:
        pred: predicted clips.
        target: true clips, for self-reenactment.
        source: portraits (pictures or clips), for cross-reenactment.
        audio: sounds; by default the sound of the targets, else of the predictions.
        identities: clip → person; by default the folder that the clip lies in, or, without folders, each clip for
            itself.

    Raises:
        ConfigError: neither target nor source; nothing pairs.
        MediaError: an empty folder.
    """
    pred = Path(pred)
    target, source, audio = (None if path is None else Path(path) for path in (target, source, audio))
    if target is None and source is None:
        raise ConfigError(
            "give --target (self-reenactment) or --source (cross-reenactment): there is nothing to compare with."
        )
    lines: list[str] = []
    predictions = _unique(find_clips(pred), "prediction", lines)
    targets = None if target is None else _named(target, predictions, _unique(find_clips(target), "target", lines))
    sources = None if source is None else _named(source, predictions, _portraits(source, lines))
    sounds = None if audio is None else _named(audio, predictions, find_sounds(audio))
    references = targets if targets is not None else sources
    assert references is not None
    kind = "target" if targets is not None else "portrait"
    lines += [
        f"prediction '{name}' has no {kind}{_nearest(name, references)}"
        for name in predictions
        if name not in references
    ]
    lines += [
        f"{kind} '{name}' has no prediction{_nearest(name, predictions)}"
        for name in references
        if name not in predictions
    ]
    pairs = []
    for name in sorted(predictions.keys() & references.keys()):
        if sounds is not None and name not in sounds:
            lines.append(f"clip '{name}' has no sound{_nearest(name, sounds)}; it is scored without")
        identity = (identities or {}).get(name) or (identities or {}).get(Path(name).name)
        if identities is not None and identity is None:
            lines.append(f"clip '{name}' is not in the list of identities; it counts as a person of its own")
        pairs.append(
            Pair(
                name,
                identity or (name.rpartition("/")[0] if identities is None else "") or name,
                predictions[name],
                targets[name] if targets is not None else None,
                sources.get(name) if sources is not None else None,
                sounds.get(name) if sounds is not None else (targets or predictions)[name],
            )
        )
    if not pairs:
        raise ConfigError(f"nothing pairs: {'; '.join(lines[:4])}. Clips pair by their path without suffix.")
    return Pairing(tuple(_interleaved(pairs)), tuple(lines))


def read_identities(path: Path) -> dict[str, str]:
    """Clip → person, from a CSV with the columns ``path`` (or ``clip``) and ``identity``.

    Args:
        path: the table; clips are named by their path, of which the suffix does not matter.

    Raises:
        ConfigError: a column is missing.
        MediaError: the file is missing.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}.") from error
    column = next((name for name in ("clip", "path") if rows and name in rows[0]), None)
    if column is None or "identity" not in rows[0]:
        raise ConfigError(f"{path} needs the columns 'path' (or 'clip') and 'identity'.")
    names = {Path(row[column]).with_suffix("").as_posix(): row["identity"] for row in rows}
    return {Path(name).name: identity for name, identity in names.items()} | names


def _unique(found: Mapping[str, list[Path]], kind: str, lines: list[str]) -> dict[str, Path]:
    for name, paths in found.items():
        if len(paths) > 1:
            lines.append(
                f"{kind} '{name}' exists {len(paths)} times ({', '.join(p.name for p in paths)}); none is taken"
            )
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def _portraits(source: Path, lines: list[str]) -> dict[str, Path]:
    """Pictures by name, else clips, of which the first frame is taken."""
    if is_picture(source):
        return {source.stem: source}
    pictures = [path for path in sorted(source.rglob("*")) if is_picture(path)] if source.is_dir() else []
    if not pictures:
        return _unique(find_clips(source), "portrait", lines)
    found: dict[str, list[Path]] = {}
    for path in pictures:
        found.setdefault(path.relative_to(source).with_suffix("").as_posix(), []).append(path)
    return _unique(found, "portrait", lines)


def _named(root: Path, predictions: Mapping[str, Path], found: dict[str, Path]) -> dict[str, Path]:
    """A single file belongs to the single prediction."""
    if root.is_dir() and len(found) != 1:
        return found
    if len(predictions) == 1 and len(found) == 1 and (root.is_file() or root in found.values()):
        return {next(iter(predictions)): next(iter(found.values()))}
    return found


def _nearest(name: str, known: Collection[str]) -> str:
    if len(known) > 1000:  # looking for the nearest of many names, for many names, takes minutes
        return ""
    nearest = did_you_mean(name, known).split(", ")[0]
    return f" (nearest: '{nearest}')" if nearest else ""


def _interleaved(pairs: list[Pair]) -> list[Pair]:
    people: dict[str, list[Pair]] = {}
    for pair in pairs:
        people.setdefault(pair.identity, []).append(pair)
    rounds = zip_longest(*(people[name] for name in sorted(people)))
    return [pair for turn in rounds for pair in turn if pair is not None]
