"""Directory trees of data sets: which videos there are, who is seen, and what is annotated. Nothing is decoded here.

Trees and annotation files are those of the published data sets. Boxes of VoxCeleb1 and HDTF are pixels of a download
of unknown size and are not used; faces are found anew.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from talkingface.core.media import is_video
from talkingface.core.media.probe import VIDEO_SUFFIXES
from talkingface.prepare.records import Box, Source
from talkingface.prepare.trees import name_of, walk

FPS = 25  # of VoxCeleb's frame numbers
VOXCELEB1_TEST = range(10270, 10310)  # numbers of the 40 people of its verification test
FAULTS = (OSError, ValueError, LookupError, ArithmeticError)  # of annotations that are not as they must be
VFHQ = re.compile(r"Clip\+(?P<video>.+)\+(?P<person>P\d+)\+C\d+\+F(?P<first>\d+)-(?P<last>\d+)")


class Layout(ABC):
    """A kind of tree. A package of your own adds one as the plugin ``layout.NAME``."""

    def sources(self, root: Path) -> Iterator[Source]:
        """Its videos, in an order that is always the same; those of a person follow each other.

        Args:
            root: the folder of raw videos.

        Returns:
            A source at a time: a tree of a million clips is never in memory at once. What cannot be used is among
            them with its fault, which the report then names.
        """
        for path in walk(root):
            if path.is_dir():
                yield _unusable(path, root, "a folder that may not be read")
                continue
            try:
                yield from self.read(path, root)
            except FAULTS as error:
                yield _unusable(path, root, f"not as the layout has it: {type(error).__name__}, {error}")

    @abstractmethod
    def read(self, path: Path, root: Path) -> Iterator[Source]:
        """What one file of the tree stands for: nothing, a video, or the spans of an annotation.

        Args:
            path: the file.
            root: the folder of raw videos, in which it lies.

        Raises:
            OSError, ValueError, LookupError, ArithmeticError: when it is not as it must be; the other files go on.
        """


class FolderLayout(Layout):
    """Videos below ``NAME/`` show the person NAME; each one directly in the folder shows other people."""

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        if is_video(path):
            inside = path.relative_to(root)
            person = inside.parts[0] if len(inside.parts) > 1 else path.stem
            named = len(inside.parts) > 1
            yield Source(path, name_of(inside if named else Path(person, inside)), person, named=named)


class VoxCeleb1Layout(Layout):
    """``txt/ID/VIDEO/00001.txt`` with the originals as ``videos/VIDEO.mp4``; id10270 to id10309 are the test."""

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        match path.relative_to(root).parts:
            case ("txt", identity, _, _) if path.suffix == ".txt":
                test = identity[2:].isdigit() and int(identity[2:]) in VOXCELEB1_TEST
                yield _voxceleb_span(path, root, "test" if test else "dev", boxes=False)


class VoxCeleb2Layout(Layout):
    """``dev|test/mp4/ID/VIDEO/00001.mp4`` as released (sound in ``aac``), or ``dev|test/txt`` and ``videos``."""

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        match path.relative_to(root).parts:
            case ("dev" | "test" as split, "mp4", identity, video, file):
                sound = root / split / "aac" / identity / video / f"{path.stem}.m4a"
                name = name_of(Path(identity, video, file))
                yield Source(path, name, identity, split, sound=sound if sound.is_file() else None)
            case ("dev" | "test" as split, "txt", _, _, _) if path.suffix == ".txt":
                yield _voxceleb_span(path, root, split, boxes=True)


class HDTFLayout(Layout):
    """``*_annotion_time.txt`` (as they are spelt) and the originals, anywhere below SRC."""

    def sources(self, root: Path) -> Iterator[Source]:
        self._videos = {path.stem: path for path in walk(root) if path.suffix.lower() in VIDEO_SUFFIXES}
        yield from super().sources(root)

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        if not path.name.endswith("_annotion_time.txt"):
            return
        faults = []
        for line in sorted(path.read_text(encoding="utf-8").splitlines()):
            try:
                yield from self._spans(line, path.name.split("_")[0], root) if line.strip() else ()
            except ValueError:
                faults.append(line)
        if faults:
            raise ValueError(f"{len(faults)} lines are no 'VIDEO.mp4 00:10-01:00', the first '{faults[0]}'")

    def _spans(self, line: str, kind: str, root: Path) -> list[Source]:
        file, *spans = line.split()
        stem = Path(file).stem
        # people have a number behind the name where there are several videos; radio programmes are only numbered
        person = f"{kind}_{stem if kind == 'RD' else stem.rstrip('0123456789')}"
        video = self._videos.get(f"{kind}_{stem}", self._videos.get(stem, root / file))
        found = []
        for number, span in enumerate(spans):
            start, end = (_seconds(time) for time in span.split("-"))
            if end <= start:
                raise ValueError(f"{span} ends before it begins")
            name = name_of(Path(person, f"{stem}_{number}.mp4"))
            found.append(Source(video, name, person, start=start, seconds=end - start))
        return found


class VFHQLayout(Layout):
    """``Clip+VIDEO+P0+C0+F1-99.mp4`` as released, or such ``.txt`` of its meta info with ``videos/VIDEO.mp4``."""

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        found = VFHQ.fullmatch(path.stem)
        if found is None or path.suffix.lower() not in (*VIDEO_SUFFIXES, ".txt"):
            return
        person = f"{found['video']}+{found['person']}"
        name = name_of(Path(person, f"{path.stem}.mp4"))
        if path.suffix != ".txt":
            yield Source(path, name, person)
            return
        lines = [line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line]
        facts = {key.strip(): value.split() for key, value in lines}
        (width,), (height,), (fps,) = facts["W"], facts["H"], facts["FPS"]
        left, top, right, bottom = map(float, facts["CROP"][-4:])
        box = (left / float(width), top / float(height), right / float(width), bottom / float(height))
        # its first and last frame may belong to the neighbouring shots
        start, end = (int(found["first"]) + 1) / float(fps), (int(found["last"]) - 1) / float(fps)
        yield Source(_original(root, found["video"]), name, person, start=start, seconds=end - start, box=box)


class MEADLayout(Layout):
    """``PERSON/video/VIEW/EMOTION/level_N/001.mp4`` with sound in ``PERSON/audio/EMOTION/level_N/001.m4a``."""

    def read(self, path: Path, root: Path) -> Iterator[Source]:
        inside = path.relative_to(root)
        match inside.parts:
            case (person, "video", *_, emotion, level, _) if path.suffix.lower() in VIDEO_SUFFIXES:
                sound = root / person / "audio" / emotion / level / f"{path.stem}.m4a"
                yield Source(
                    path,
                    name_of(inside),
                    person,
                    emotion=emotion,
                    intensity=int(level.removeprefix("level_")),
                    sound=sound if sound.is_file() else None,
                )


def _unusable(path: Path, root: Path, fault: str) -> Source:
    return Source(path, name_of(path.relative_to(root)), "", fault=fault)


def _voxceleb_span(path: Path, root: Path, split: str, boxes: bool) -> Source:
    """A span of an original: rows of frame, left, top, width, height (VoxCeleb2: fractions) below a header."""
    identity, video = path.parts[-3:-1]
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    numbers = [[float(cell) for cell in row] for row in rows if len(row) == 5 and row[0].isdigit()]
    if not numbers:
        raise ValueError("no row of frame, left, top, width and height")
    box: Box | None = None
    if boxes:
        left, top, wide, high = (sorted(column)[len(numbers) // 2] for column in list(zip(*numbers, strict=True))[1:])
        box = (left, top, left + wide, top + high)
    first = numbers[0][0] / FPS
    seconds = (numbers[-1][0] + 1) / FPS - first
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
