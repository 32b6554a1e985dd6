"""Directory trees of data sets: which videos there are, who is seen, and what is annotated. Nothing is decoded here.

Trees and annotation files are those of the published data sets. Boxes of VoxCeleb1 and HDTF are pixels of a download
of unknown size and are not used; faces are found anew.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from talkingface.core.media import is_video
from talkingface.core.media.probe import VIDEO_SUFFIXES
from talkingface.prepare.records import Box, Source
from talkingface.prepare.trees import name_of, walk

FPS = 25  # of VoxCeleb's frame numbers
VOXCELEB1_TEST = range(10270, 10310)  # numbers of the 40 people of its verification test
VFHQ = re.compile(r"Clip\+(?P<video>.+)\+(?P<person>P\d+)\+C\d+\+F(?P<first>\d+)-(?P<last>\d+)")


@dataclass(frozen=True)
class Layout:
    """A kind of tree.

    Attributes:
        sources: folder → its videos, in an order that is always the same; those of a person follow each other.
        about: what the tree looks like, in one line.
    """

    sources: Callable[[Path], Iterator[Source]]
    about: str


def folder(root: Path) -> Iterator[Source]:
    """Videos below ``NAME/`` show the person NAME; each one directly in the folder shows other people."""
    for path in walk(root):
        if path.is_dir() or is_video(path):
            inside = path.relative_to(root)
            person = inside.parts[0] if len(inside.parts) > 1 else path.stem
            named = len(inside.parts) > 1
            yield Source(path, name_of(inside if named else Path(person, inside)), person, named=named)


def voxceleb1(root: Path) -> Iterator[Source]:
    """``txt/ID/VIDEO/00001.txt`` with the originals as ``videos/VIDEO.mp4``; id10270 to id10309 are the test."""
    for path in walk(root / "txt"):
        if path.suffix == ".txt":
            test = path.parts[-3][2:].isdigit() and int(path.parts[-3][2:]) in VOXCELEB1_TEST
            yield _voxceleb_span(path, root, "test" if test else "dev", boxes=False)


def voxceleb2(root: Path) -> Iterator[Source]:
    """``dev|test/mp4/ID/VIDEO/00001.mp4`` as released (sound in ``aac``), or ``dev|test/txt`` and ``videos``."""
    for split in ("dev", "test"):
        for path in walk(root / split / "mp4") if (root / split / "mp4").is_dir() else ():
            sound = root / split / "aac" / path.relative_to(root / split / "mp4").with_suffix(".m4a")
            identity = path.parts[-3]
            yield Source(
                path, name_of(Path(*path.parts[-3:])), identity, split, sound=sound if sound.is_file() else None
            )
        for path in walk(root / split / "txt") if (root / split / "txt").is_dir() else ():
            yield _voxceleb_span(path, root, split, boxes=True)


def hdtf(root: Path) -> Iterator[Source]:
    """``*_annotion_time.txt`` (as they are spelt) and the originals, anywhere below SRC."""
    videos = {path.stem: path for path in walk(root) if path.suffix.lower() in VIDEO_SUFFIXES}
    for path in walk(root):
        if not path.name.endswith("_annotion_time.txt"):
            continue
        kind = path.name.split("_")[0]
        for line in sorted(path.read_text(encoding="utf-8").splitlines()):
            if not line.strip():
                continue
            file, *spans = line.split()
            stem = Path(file).stem
            # people have a number behind the name where there are several videos; radio programmes are only numbered
            person = f"{kind}_{stem if kind == 'RD' else stem.rstrip('0123456789')}"
            video = videos.get(f"{kind}_{stem}", videos.get(stem, root / file))
            for number, span in enumerate(spans):
                start, end = (_seconds(time) for time in span.split("-"))
                name = name_of(Path(person, f"{stem}_{number}.mp4"))
                yield Source(video, name, person, start=start, seconds=end - start)


def vfhq(root: Path) -> Iterator[Source]:
    """``Clip+VIDEO+P0+C0+F1-99.mp4`` as released, or such ``.txt`` of its meta info with ``videos/VIDEO.mp4``."""
    for path in walk(root):
        found = VFHQ.fullmatch(path.stem)
        if found is None or path.suffix.lower() not in (*VIDEO_SUFFIXES, ".txt"):
            continue
        person = f"{found['video']}+{found['person']}"
        name = name_of(Path(person, f"{path.stem}.mp4"))
        if path.suffix != ".txt":
            yield Source(path, name, person)
            continue
        lines = [line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line]
        facts = {key.strip(): value.split() for key, value in lines}
        (width,), (height,), (fps,) = facts["W"], facts["H"], facts["FPS"]
        left, top, right, bottom = map(float, facts["CROP"][-4:])
        box = (left / float(width), top / float(height), right / float(width), bottom / float(height))
        # its first and last frame may belong to the neighbouring shots
        start, end = (int(found["first"]) + 1) / float(fps), (int(found["last"]) - 1) / float(fps)
        yield Source(_original(root, found["video"]), name, person, start=start, seconds=end - start, box=box)


def mead(root: Path) -> Iterator[Source]:
    """``PERSON/video/VIEW/EMOTION/level_N/001.mp4`` with sound in ``PERSON/audio/EMOTION/level_N/001.m4a``."""
    for path in walk(root):
        inside = path.relative_to(root)
        if path.suffix.lower() in VIDEO_SUFFIXES and "video" in inside.parts and len(inside.parts) >= 6:
            emotion, level = inside.parts[-3:-1]
            sound = root / inside.parts[0] / "audio" / emotion / level / f"{path.stem}.m4a"
            yield Source(
                path,
                name_of(inside),
                inside.parts[0],
                emotion=emotion,
                intensity=int(level.removeprefix("level_")),
                sound=sound if sound.is_file() else None,
            )


def _voxceleb_span(path: Path, root: Path, split: str, boxes: bool) -> Source:
    """A span of an original: rows of frame, left, top, width, height (VoxCeleb2: fractions) below a header."""
    identity, video = path.parts[-3:-1]
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    numbers = [[float(cell) for cell in row] for row in rows if len(row) == 5 and row[0].isdigit()]
    box: Box | None = None
    if boxes and numbers:
        left, top, wide, high = (sorted(column)[len(numbers) // 2] for column in list(zip(*numbers, strict=True))[1:])
        box = (left, top, left + wide, top + high)
    first = numbers[0][0] / FPS if numbers else 0.0
    seconds = (numbers[-1][0] + 1) / FPS - first if numbers else None
    name = name_of(Path(identity, video, f"{path.stem}.mp4"))
    return Source(_original(root, video), name, identity, split, start=first, seconds=seconds, box=box)


def _original(root: Path, video: str) -> Path:
    """A downloaded video; where it is missing the report says so."""
    files = (root / "videos" / f"{video}{suffix}" for suffix in VIDEO_SUFFIXES)
    return next(chain((file for file in files if file.is_file()), [root / "videos" / f"{video}.mp4"]))


def _seconds(time: str) -> float:
    """
    >>> _seconds("01:30"), _seconds("1:00:02")
    (90.0, 3602.0)
    """
    total = 0.0
    for part in time.split(":"):
        total = total * 60 + float(part)
    return total


LAYOUTS = {
    "folder": Layout(folder, "SRC/PERSON/**/*.mp4, or SRC/*.mp4 with a person each"),
    "voxceleb1": Layout(voxceleb1, "SRC/txt/ID/VIDEO/*.txt and SRC/videos/VIDEO.mp4"),
    "voxceleb2": Layout(voxceleb2, "SRC/dev|test/mp4/ID/VIDEO/*.mp4, or …/txt/… and SRC/videos"),
    "hdtf": Layout(hdtf, "SRC/**/*_annotion_time.txt and the videos"),
    "vfhq": Layout(vfhq, "SRC/**/Clip+VIDEO+P+C+F.mp4, or such .txt and SRC/videos"),
    "mead": Layout(mead, "SRC/PERSON/video/VIEW/EMOTION/level_N/*.mp4 and SRC/PERSON/audio"),
}
