"""Real clips: a folder of videos, or a manifest of them, split by person; files that do not decode are left out."""

import csv
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError, did_you_mean
from talkingface.core.media import VideoReader, is_video, read_audio
from talkingface.weights import sha256

SPLITS = ("train", "val", "test")
MANIFEST = "manifest.parquet"  # of a prepared set, below its root
READ = ("path", "identity", "split", "emotion", "frames", "sound")  # columns of it
_OPEN_DECODERS = 4  # in each process; with decord one holds 33 MB at 256 px and 270 MB at 1080p, with PyAV 2 and 30 MB
_SAMPLES = 640  # of 16 kHz sound in a frame
_KNOWN_FILES = 4096  # packet tables kept in each process, about 10 KB each


@dataclass(frozen=True)
class ClipFile:
    """One real clip (a :class:`talkingface.data.pairs.Clip`; with sound a ``SpokenClip``).

    Attributes:
        path: the video.
        identity: name of the person.
        split: train, val or test; a person is in one split only.
        frames: length on the 25 fps grid.
        audio: whether the file has a sound track.
        clip_id: path below the folder or manifest, without suffix.
        emotion: what the manifest says of it, else empty.
        labels: of every frame, each ``(T, ...)``, where any are known, see :func:`talkingface.data.labels.labelled`.
    """

    path: Path
    identity: str
    split: str
    frames: int
    audio: bool
    clip_id: str
    emotion: str = ""
    labels: Mapping[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return self.frames

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)`` on the 25 fps grid; the decoder is opened in the calling process and kept a while.

        Raises:
            MediaError: when the file no longer decodes.
        """
        reader = _reader(self.path)
        if max(indices, default=0) >= len(reader):
            raise MediaError(f"{self.path} has become shorter since the folder was scanned. Scan it again.")
        return reader.read(indices)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        info = _known(self.path).info
        return info.width, info.height

    def stream(self, batch: int) -> Iterator[NDArray[np.uint8]]:
        """All frames in order, each decoded once, up to ``batch`` at a time, ``(n, H, W, 3)``.

        Raises:
            MediaError: when the file no longer decodes.
        """
        with VideoReader(self.path) as reader:
            if len(reader) != len(self):
                raise MediaError(f"{self.path} has changed since the folder was scanned. Scan it again.")
            yield from reader.stream(batch)

    def wave(self) -> NDArray[np.float32]:
        """Its sound, 16 kHz mono ``(640 * T,)``: silence where it ends early, and none beyond the last frame.

        Raises:
            MediaError: when the file has no sound, or one that does not decode.
        """
        wave = read_audio(self.path)[: _SAMPLES * len(self)]
        return np.pad(wave, (0, _SAMPLES * len(self) - len(wave)))

    def fingerprint(self) -> str:
        """SHA-256 of the file.

        Raises:
            MediaError: when it cannot be read.
        """
        try:
            state = self.path.stat()
            return _digest(self.path, state.st_size, state.st_mtime_ns)
        except OSError as error:
            raise MediaError(f"{self.path} cannot be read ({error.strerror}). Check the disk it lies on.") from error

    def truth(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The labels of these frames."""
        return {name: values[list(indices)] for name, values in self.labels.items()}


_open: OrderedDict[Path, VideoReader] = OrderedDict()
_known = lru_cache(maxsize=_KNOWN_FILES)(VideoReader)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file as long as nobody touches it."""
    return sha256(path)


def _reader(path: Path) -> VideoReader:
    """A reader whose decoder may be open already: opening costs a third of reading two frames."""
    reader = _known(path)
    _open[path] = reader
    _open.move_to_end(path)
    if len(_open) > _OPEN_DECODERS:
        _open.popitem(last=False)[1].close()
    return reader


@dataclass(frozen=True)
class FolderSummary:
    """What a scan found.

    Attributes:
        clips, identities, frames: totals of what can be used.
        per_split: for each split its clips and identities.
        skipped: path and reason of each file that was left out.
    """

    clips: int
    identities: int
    frames: int
    per_split: dict[str, tuple[int, int]]
    skipped: tuple[tuple[Path, str], ...]

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {clips} of {people}" for name, (clips, people) in self.per_split.items())
        lines = [
            f"{self.clips} clips of {self.identities} identities, {self.frames} frames "
            f"({self.frames / 25 / 60:.1f} min); clips of identities: {shares}; {len(self.skipped)} files skipped"
        ]
        lines += [f"  skipped {reason}" for _, reason in self.skipped]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Entry:
    path: Path
    identity: str
    split: str  # empty where nobody chose one
    clip_id: str
    emotion: str = ""
    known: tuple[int, bool] | None = None  # frames and whether there is sound, of a prepared set


def scan_folder(
    root: str | Path,
    manifest: str | Path | None = None,
    splits: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> tuple[list[ClipFile], FolderSummary]:
    """Find the clips of a folder and decode the first frame of each.

    A set that ``talkingface prepare`` made brings its manifest, which says all that is asked for here: its clips are
    not opened, which would take hours for a million. Without one, videos below ``root/NAME/`` show the
    person NAME, and each video directly in ``root`` shows another person. A person's split depends on their name and
    the seed alone, so adding clips never moves anybody;
    the shares are met on average, and with a handful of people a split may stay empty.

    Args:
        root: the folder; with a manifest, where a path is looked for that does not lie beside the manifest.
        manifest: CSV, or Parquet as a prepared set has it, with the columns ``path`` and ``identity``, and maybe
            ``split`` (train, val, test; a person without one gets one by name), ``emotion`` and ``kind`` (rows that
            are no ``clip`` are passed over). Paths are relative to it.
        splits: shares of train, val and test.
        seed: draws other splits.

    Returns:
        The clips sorted by ``clip_id``, and the summary, which names every skipped file.

    Raises:
        MediaError: a missing folder or manifest, or not one readable clip.
        ConfigError: a manifest without the columns, with an unknown split, or with a person in two splits.
    """
    if len(splits) != 3 or min(splits) < 0 or not np.isclose(sum(splits), 1.0):
        raise ConfigError(f"splits are {splits}, expected three shares of train, val and test that add up to 1.")
    root = Path(root)
    if manifest is None and (root / MANIFEST).is_file():
        manifest = root / MANIFEST
    entries = list(_from_folder(root) if manifest is None else _from_manifest(Path(manifest), root))
    same = Counter(entry.clip_id for entry in entries)
    clips: list[ClipFile] = []
    skipped: list[tuple[Path, str]] = []
    for entry in sorted(entries, key=lambda entry: entry.clip_id):
        try:
            frames, audio = entry.known or _looked_at(entry.path)
        except MediaError as error:
            skipped.append((entry.path, str(error)))
            continue
        split = entry.split or split_of(entry.identity, splits, seed)
        clip_id = entry.clip_id if same[entry.clip_id] == 1 else entry.clip_id + entry.path.suffix  # a.mp4 and a.mov
        clips.append(ClipFile(entry.path, entry.identity, split, frames, audio, clip_id, entry.emotion))
    if not clips:
        first = f" The first of {len(skipped)} skipped: {skipped[0][1]}" if skipped else ""
        raise MediaError(f"{manifest or root} holds no video that can be read.{first}")
    return clips, _summary(clips, skipped)


def _looked_at(path: Path) -> tuple[int, bool]:
    """Frames, and whether there is sound."""
    with VideoReader(path) as reader:
        return len(reader), reader.info.audio


def split_of(identity: str, splits: tuple[float, float, float], seed: int) -> str:
    """The split of a person, by a hash of the name.

    Args:
        identity: the name.
        splits: shares of train, val and test.
        seed: draws other splits.
    """
    digest = hashlib.sha256(f"{seed}:{identity}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "train" if place < splits[0] else "val" if place < splits[0] + splits[1] else "test"


def _from_folder(root: Path) -> Iterator[_Entry]:
    if not root.is_dir():
        raise MediaError(f"{root} is not a folder. Give the folder that holds the videos.")
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        # hidden files are no clips: macOS leaves a "._clip.mp4" beside each clip on foreign disks
        if path.is_file() and not any(part.startswith(".") for part in inside.parts) and is_video(path):
            identity = inside.parts[0] if len(inside.parts) > 1 else path.stem
            yield _Entry(path, identity, "", inside.with_suffix("").as_posix())


def _from_manifest(manifest: Path, root: Path) -> Iterator[_Entry]:
    if not manifest.is_file():
        raise MediaError(f"{manifest} does not exist. Give a CSV file with the columns path and identity.")
    columns, table = _parquet(manifest) if manifest.suffix == ".parquet" else _csv(manifest)
    missing = {"path", "identity"} - set(columns)
    if missing:
        raise ConfigError(f"{manifest} has no column {' and '.join(sorted(missing))}; it has {', '.join(columns)}.")
    rows = [row for row in table if (row.get("kind") or "clip") == "clip"]
    chosen: dict[str, str] = {}
    for row in rows:
        if not row["path"] or not row["identity"]:
            raise ConfigError(f"{manifest}: the row {list(row.values())} has no path or no identity. Fill it in.")
        split, person = row.get("split") or "", row["identity"]
        if split and split not in SPLITS:
            known = did_you_mean(split, SPLITS)
            raise ConfigError(f"{manifest}: split {split!r} of {row['path']} is unknown. Known: {known}.")
        if split and chosen.setdefault(person, split) != split:
            raise ConfigError(
                f"{manifest}: {person} is in {chosen[person]} and in {split}. Keep a person in one split."
            )
    for row in rows:
        inside = Path(row["path"])
        path = manifest.parent / inside
        path = path if path.exists() or not (root / inside).exists() else root / inside
        clip_id, emotion = inside.with_suffix("").as_posix(), row.get("emotion") or ""
        told = (row["frames"], row["sound"]) if manifest.name == MANIFEST and path.exists() else None
        yield _Entry(path, row["identity"], chosen.get(row["identity"], ""), clip_id, emotion, told)


def _csv(manifest: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the columns, and the rows."""
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        return list(table.fieldnames or ()), list(table)


def _parquet(manifest: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The same of a prepared set, without what only its report needs."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(manifest) as file:
        columns = [name for name in file.schema_arrow.names if name in READ]
        return columns, file.read(columns).to_pylist()


def _summary(clips: list[ClipFile], skipped: list[tuple[Path, str]]) -> FolderSummary:
    count = Counter(clip.split for clip in clips)
    people = Counter(split for _, split in {(clip.identity, clip.split) for clip in clips})
    return FolderSummary(
        clips=len(clips),
        identities=len({clip.identity for clip in clips}),
        frames=sum(clip.frames for clip in clips),
        per_split={name: (count[name], people[name]) for name in SPLITS},
        skipped=tuple(skipped),
    )
