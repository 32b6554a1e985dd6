"""Everything that is done with one source, as a pure function of its file and the settings."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingface.core.errors import MediaError
from talkingface.core.media import VideoReader, read_audio
from talkingface.prepare.choose import FPS, Span, choose, dropped_span
from talkingface.prepare.cut import SAMPLES, SILENCE, cut, loudness
from talkingface.prepare.disk import is_full
from talkingface.prepare.look import look
from talkingface.prepare.networks import Networks
from talkingface.prepare.people import name_of_person, people_of
from talkingface.prepare.records import Clip, Dropped, Outcome, Source
from talkingface.prepare.settings import Settings
from talkingface.prepare.synchrony import OutOfSyncError

INTERLACED = "interlaced: each frame shows two moments. Make it progressive first, such as by ffmpeg -vf bwdif"
ENOUGH = "enough clips of the person"
STRANGER = "somebody else than the person who is seen longest, of whom the data set speaks"


def prepare_source(
    source: Source, inside: str, settings: Settings, root: Path, networks: Networks, limit: int | None = None
) -> Outcome:
    """Look at a source, choose its spans, and cut them.

    Args:
        source: the video and what its data set says.
        inside: its path below the folder that is prepared, for the report.
        settings: all thresholds.
        root: the prepared set; clips that are there already are written anew, alike.
        networks: look at it.
        limit: most clips of a person; ``None`` for all.

    Returns:
        The clips, and what was dropped; a file that cannot be read is dropped, whatever is wrong with it.

    Raises:
        MediaError, OSError: when the disk is full.
    """
    if source.fault:
        return Outcome((), (Dropped(inside, 0.0, 0.0, "layout", source.fault),))
    try:
        with VideoReader(source.path, start=source.start, seconds=source.seconds) as reader:
            if reader.info.fps < settings.min_fps:
                reason = f"fewer than {settings.min_fps:g} frames a second"
                return Outcome((), (Dropped(inside, source.start, 0.0, "probe", reason),))
            if reader.info.interlaced:
                return Outcome((), (Dropped(inside, source.start, 0.0, "probe", INTERLACED),))
            if len(reader) < settings.min_seconds * FPS:
                reason = f"shorter than {settings.min_seconds:g} s"
                return Outcome((), (Dropped(inside, source.start, 0.0, "length", reason),))
            seen = look(reader, networks.detect, settings, networks.recognize)
            wave = _sound(source, reader.info.audio, len(reader))
        clips, dropped = list[Clip](), list[Dropped]()
        people = Counter[str]()
        for found, person in _with_names(list(choose(seen, source, inside, settings)), source, networks, settings):
            if isinstance(found, Dropped):
                dropped.append(found)
            elif person is None:
                dropped.append(dropped_span(source, inside, found.first, found.end, "identity", STRANGER))
            elif settings.need_sound and (silent := _silence(wave, found)):
                dropped.append(dropped_span(source, inside, found.first, found.end, "sound", silent))
            elif limit is not None and people[person] >= limit:
                dropped.append(dropped_span(source, inside, found.first, found.end, "enough", ENOUGH))
            else:
                name = f"{source.name}_{len(clips):03d}"
                shown = replace(source, identity=person)
                try:
                    clips.append(cut(shown, found, wave, inside, name, settings, root, networks))
                    people[person] += 1
                except OutOfSyncError as error:
                    dropped.append(dropped_span(source, inside, found.first, found.end, "sync", str(error)))
    except MediaError as error:
        if is_full(error.__cause__):
            raise
        return Outcome((), (Dropped(inside, source.start, 0.0, "probe", str(error).replace(str(source.path), inside)),))
    return Outcome(tuple(clips), tuple(dropped))


def _with_names(
    found: Sequence[Span | Dropped], source: Source, networks: Networks, settings: Settings
) -> Iterator[tuple[Span | Dropped, str | None]]:
    """What was chosen, in order, with the person whom a span shows; ``None`` for somebody whom nobody means."""
    spans = [one for one in found if isinstance(one, Span)]
    numbers = [0] * len(spans) if networks.recognize is None else people_of(spans, settings.min_likeness)
    names = (name_of_person(source, number) for number in numbers)
    for one in found:
        yield one, next(names) if isinstance(one, Span) else None


def _sound(source: Source, own: bool, frames: int) -> NDArray[np.float32] | None:
    """Sound of the span, 16 kHz; ``None`` where there is none that can be read."""
    if source.sound is None and not own:
        return None
    try:
        wave = read_audio(source.sound or source.path)
    except MediaError:
        return None
    first = round(source.start * 16000)
    return wave[first : first + frames * SAMPLES]


def _silence(wave: NDArray[np.float32] | None, span: Span) -> str:
    """Why a span has no sound; empty where it has."""
    if wave is None:
        return "no sound that can be read"
    return "" if loudness(wave[span.first * SAMPLES : span.end * SAMPLES]) > SILENCE else "silence"
