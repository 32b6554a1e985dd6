"""What a user asks head pose, place, size and mouth to be: numbers, CSV tracks, or those of another clip."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.interfaces import ControlReader
from talkingface.core.media.paths import input_file

COLUMNS = {"pose": ("yaw", "pitch", "roll"), "location": ("location",), "scale": ("scale",), "mouth": ("mouth",)}
LIMITS = {"pose": (-90.0, 90.0), "location": (0.0, 1.0), "scale": (0.0, 1.0), "mouth": (0.0, 3.0)}
UNITS = {
    "pose": "degrees",
    "location": "of the frame's width",
    "scale": "of the frame's height",
    "mouth": "times what the speech asks for",
}
ADVISED_POSE = 18.0  # degrees; the authors advise ±0.2 of the range of 90 (issue 34 of the released code)

Control = float | Sequence[float] | NDArray[np.float32] | str | Path


@dataclass(frozen=True)
class ControlTracks:
    """Tracks on the 25 fps grid, one value a frame.

    Args:
        tracks: ``pose`` ``(T, 3)`` yaw, pitch, roll in degrees; ``location`` and ``scale`` ``(T,)`` as fractions of the
            frame; ``mouth`` ``(T,)``, ControlTalk's alpha; only those that were asked for.
        files: what they were read from, by what it is.
        notes: what a user should know about how they were made.
    """

    tracks: Mapping[str, Tensor]
    files: Mapping[str, Path]
    notes: tuple[str, ...]


def read_controls(
    wanted: Mapping[str, Control], frames: int, attributes: Sequence[str], reader: ControlReader | None = None
) -> ControlTracks:
    """Turn what was asked for into tracks as long as the animation.

    A CSV file has a header and a row for each frame at 25 frames a second. Pose reads its columns yaw, pitch and roll,
    the others read the columns of their names; other columns do not matter, so one file may serve all of them.
    Of a longer track the end is cut, of a shorter one the last value is held, as the released code does.

    Args:
        wanted: name → what it is to be: a value that holds for the whole clip (three numbers for pose, one for the
            others), a track of such values ``(T, 3)`` or ``(T,)``, a CSV file, or, but for ``mouth``, a video whose own
            is taken over.
        frames: length of the animation.
        attributes: what the motion generator can be told.
        reader: finds the tracks of a video.

    Raises:
        ConfigError: for a control that the generator does not take, values out of range or not numbers, or a video
            without a reader.
        MediaError: when a file cannot be read or does not have the columns.
    """
    tracks: dict[str, Tensor] = {}
    notes: list[str] = []
    for name, asked in wanted.items():
        if name not in attributes:
            able = f"it takes: {', '.join(attributes)}" if attributes else "it takes no controls"
            raise ConfigError(f"this model's motion generator cannot be told {name}; {able}.")
        origin = f"{name} {asked}" if isinstance(asked, str | Path) else name
        values = _values(name, asked, reader, notes.append)
        _check(name, values, origin)
        if name == "pose" and values.abs().max() > ADVISED_POSE:
            notes.append(
                f"{origin} goes up to {values.abs().max():.0f} degrees: beyond {ADVISED_POSE:.0f} "
                "the published models are not precise."
            )
        if len(values) not in (1, frames):
            action = "its last value is held" if len(values) < frames else "its end is cut"
            notes.append(f"{origin} has {len(values)} frames and the speech {frames}: {action}.")
        held = torch.cat([values, values[-1:].expand(max(0, frames - len(values)), -1)])[:frames]
        tracks[name] = held if name == "pose" else held[:, 0]
    files = {f"{name} track": Path(asked) for name, asked in wanted.items() if isinstance(asked, str | Path)}
    return ControlTracks(tracks, files, tuple(notes))


def _values(name: str, asked: Control, reader: ControlReader | None, note: Callable[[str], None]) -> Tensor:
    """``(n, width)``; one row where plain numbers were given."""
    columns = COLUMNS[name]
    if not isinstance(asked, str | Path):
        values = torch.as_tensor(asked, dtype=torch.float32)
        rows = values[..., None] if name != "pose" else values
        if rows.ndim not in (1, 2) or rows.shape[-1] != len(columns) or not len(rows):
            raise ConfigError(
                f"{name} has shape {tuple(values.shape)}; give {', '.join(columns)}, once or for each frame."
            )
        return rows.reshape(-1, len(columns))
    path = input_file(asked)
    if path.suffix.lower() == ".csv":
        return _from_csv(path, columns)
    if name == "mouth":
        raise ConfigError(f"mouth is a number or a .csv file; {path} is neither.")
    if reader is None:
        raise ConfigError(
            f"{name} is to be taken from the video {path}, but nothing was given that finds it there "
            "(see talkingface.controls). Give a reader, or a .csv file."
        )
    return _filled(reader.read(path)[name].float().reshape(-1, len(columns)), name, path, note)


def _from_csv(path: Path, columns: Sequence[str]) -> Tensor:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"{path} is no CSV text ({error}). Save it as CSV in UTF-8.") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    missing = [column for column in columns if column not in header]
    if missing:
        raise MediaError(f"{path} has no column {', '.join(missing)}; its first line names: {', '.join(header)}.")
    places = [header.index(column) for column in columns]
    values = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:  # an empty line, such as the last one
            continue
        try:
            values.append([float(row[place]) for place in places])
        except (ValueError, IndexError) as error:
            raise MediaError(
                f"{path}, line {number}: {', '.join(columns)} are not numbers: {','.join(row)}."
            ) from error
    if not values:
        raise MediaError(f"{path} has a header and no rows. Give one row for each frame, 25 a second.")
    return torch.tensor(values, dtype=torch.float32)


def _filled(values: Tensor, name: str, path: Path, note: Callable[[str], None]) -> Tensor:
    """Frames of a video in which nothing was found hold the value before them, the first ones that after them."""
    known = ~values.isnan().any(-1)
    if not known.any():
        raise MediaError(f"no {name} could be found in any frame of {path}. Give a clip with one visible face.")
    if known.all():
        return values
    note(f"{int((~known).sum())} of {len(known)} frames of {path} have no {name}: the value before them is held.")
    places = torch.where(known, torch.arange(len(values)), 0).cummax(0).values
    return values[places.clamp(min=int(known.nonzero()[0]))]


def _check(name: str, values: Tensor, origin: str) -> None:
    low, high = LIMITS[name]
    bad = ~((values >= low) & (values <= high)).all(-1)  # NaN is outside as well
    if bad.any():
        row = int(bad.nonzero()[0])
        numbers = ", ".join(f"{value:g}" for value in values[row].tolist())
        raise ConfigError(f"{origin}: frame {row} has {numbers}; the limits are {low:g} to {high:g} {UNITS[name]}.")
