"""Everything that is done with one source, as a pure function of its file and the settings."""

import errno
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingface.core.errors import MediaError, TalkingFaceError
from talkingface.core.media import VideoReader, read_audio
from talkingface.prepare.choose import FPS, Span, choose, dropped_span
from talkingface.prepare.cut import SAMPLES, SILENCE, cut, loudness
from talkingface.prepare.look import look
from talkingface.prepare.networks import Networks
from talkingface.prepare.records import Clip, Dropped, Outcome, Source
from talkingface.prepare.settings import Settings

FULL = (errno.ENOSPC, errno.EDQUOT)
ENOUGH = "enough clips of the person"


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
        limit: most clips; ``None`` for all.

    Returns:
        The clips, and what was dropped; a file that cannot be read is dropped, whatever is wrong with it.

    Raises:
        TalkingFaceError: when the disk is full.
    """
    if source.path.is_dir():
        return Outcome((), (Dropped(inside, 0.0, 0.0, "probe", "a folder that may not be read"),))
    try:
        with VideoReader(source.path, start=source.start, seconds=source.seconds) as reader:
            if reader.info.fps < settings.min_fps:
                reason = f"fewer than {settings.min_fps:g} frames a second"
                return Outcome((), (Dropped(inside, source.start, 0.0, "probe", reason),))
            if len(reader) < settings.min_seconds * FPS:
                reason = f"shorter than {settings.min_seconds:g} s"
                return Outcome((), (Dropped(inside, source.start, 0.0, "length", reason),))
            seen = look(reader, networks.detect, settings)
            wave = _sound(source, reader.info.audio, len(reader))
        clips, dropped = list[Clip](), list[Dropped]()
        for found in choose(seen, source, inside, settings):
            if isinstance(found, Dropped):
                dropped.append(found)
            elif settings.need_sound and (silent := _silence(wave, found)):
                dropped.append(dropped_span(source, inside, found.first, found.end, "sound", silent))
            elif limit is not None and len(clips) >= limit:
                dropped.append(dropped_span(source, inside, found.first, found.end, "enough", ENOUGH))
            else:
                name = f"{source.name}_{len(clips):03d}"
                clips.append(cut(source, found, wave, inside, name, settings.size, root, networks))
    except MediaError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
            raise TalkingFaceError(f"{error} Finished clips are kept: run the same command again.") from error
        return Outcome((), (Dropped(inside, source.start, 0.0, "probe", str(error).replace(str(source.path), inside)),))
    return Outcome(tuple(clips), tuple(dropped))


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
