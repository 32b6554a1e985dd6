"""The emotion that a user asks for: by name, as a vector, as a picture or clip shows it, or changing over time."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.interfaces import MotionGenerator
from talkingface.core.media import VideoReader, is_video, read_picture
from talkingface.core.media.paths import input_file
from talkingface.generators import EmotionCondition, over_window
from talkingface.pipelines.animation import FPS
from talkingface.pipelines.face import find_boxes
from talkingface.pipelines.portrait import PREPARED, Crop, face_square

STRONGEST = 1.5  # 1 is the mean of the labelled clips; MEAD's strongest of three levels is about half as much again
LOOKED_AT = 50  # most frames of a reference clip that are read, spread over it
LOOK = 5  # from one of them to the next in which the face is looked for
BATCH = 8  # frames encoded together
UNTOLD = ("", "none")  # in a track: heard in the speech

Emotion = str | Path | Sequence[float] | NDArray[np.float32]
Encode = Callable[[NDArray[np.uint8]], Tensor]


@dataclass(frozen=True)
class EmotionTrack:
    """What a generator is told on the 25 fps grid.

    Args:
        values: difference of the expression from neutral ``(T, E)``; NaN where the speech decides.
        files: what it was read from, by what it is.
        notes: what a user should know about it.
    """

    values: Tensor
    files: dict[str, Path]
    notes: tuple[str, ...] = ()


def read_emotion(
    asked: Emotion,
    strength: float,
    frames: int,
    generator: MotionGenerator,
    encode: Encode,
    crop: Crop = "auto",
) -> EmotionTrack:
    """Turn what was asked for into a track as long as the animation.

    A CSV file has a header with ``time`` in seconds or ``frame``, ``emotion`` and maybe ``strength``, which otherwise
    is that of the call. A row holds until the next one; before the first, and where the emotion is ``none`` or empty,
    it is left to the speech. Emotions change within a second, as they do in the clips that were trained on.

    Args:
        asked: a name that the generator knows; a vector ``(E,)`` or a track ``(T, E)`` of differences from the neutral
            expression; a picture or clip of anybody whose expression is taken over; or a CSV file.
        strength: factor on the difference from neutral, 0 to 1.5: 0 is neutral, 1 the mean of the labelled clips or
            what the reference shows.
        frames: length T of the animation.
        generator: what is told.
        encode: frames ``(n, H, W, 3)`` → motion ``(n, D)``.
        crop: of the portrait; with "none", a picture or clip is not cut round its face either.

    Raises:
        ConfigError: for a generator that knows no emotions, an unknown name, a strength out of range, or a vector of
            another width or with values that are no numbers.
        MediaError: when a file cannot be read, has other columns, or shows no face.
    """
    emotion = condition_of(generator)
    check_strength(strength, "the emotion")
    if not isinstance(asked, str | Path):
        return _from_vector(torch.as_tensor(np.asarray(asked, np.float32)), strength, frames, emotion.dim)
    if isinstance(asked, str) and not Path(asked).suffix:
        return EmotionTrack((strength * emotion.named(asked).cpu()).expand(frames, -1), {})
    path = input_file(asked)
    if path.suffix.lower() == ".csv":
        return EmotionTrack(_from_csv(path, strength, frames, emotion), {"emotion track": path})
    shown = _shown_in(path, emotion, encode, crop)
    return EmotionTrack((strength * shown).expand(frames, -1), {"emotion reference": path})


def condition_of(generator: MotionGenerator) -> EmotionCondition:
    """What a generator knows of emotions.

    Raises:
        ConfigError: when that is nothing.
    """
    condition = getattr(generator, "emotion", None)
    if not isinstance(condition, EmotionCondition):
        raise ConfigError(
            "this model's motion generator cannot be told an emotion. Take one that was trained with emotions, "
            "such as one of the recipe takin-ada-stage2."
        )
    return condition


def check_strength(strength: float, about: str) -> None:
    """Refuse a strength outside of what training clips show.

    Raises:
        ConfigError: with the limits.
    """
    if not 0 <= strength <= STRONGEST:  # NaN is outside as well
        raise ConfigError(
            f"the strength of {about} is {strength:g}; it must lie between 0 (neutral) and {STRONGEST:g} "
            "(1 is the mean of the clips that were labelled so)."
        )


def _from_vector(values: Tensor, strength: float, frames: int, width: int) -> EmotionTrack:
    if values.ndim not in (1, 2) or values.shape[-1] != width or not values.numel():
        raise ConfigError(
            f"the emotion has shape {tuple(values.shape)}; this model takes {width} numbers, once or for each frame."
        )
    if not values.isfinite().all():
        raise ConfigError("the emotion has values that are NaN or infinite.")
    rows, notes = values.reshape(-1, width), tuple[str, ...]()
    if len(rows) not in (1, frames):
        action = "its last value is held" if len(rows) < frames else "its end is cut"
        notes = (f"the emotion has {len(rows)} frames and the speech {frames}: {action}.",)
    held = torch.cat([rows, rows[-1:].expand(max(0, frames - len(rows)), -1)])[:frames]
    return EmotionTrack(strength * held, {}, notes)


def _from_csv(path: Path, strength: float, frames: int, emotion: EmotionCondition) -> Tensor:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            table.fieldnames = [name.strip().lower() for name in table.fieldnames or ()]
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"{path} is no CSV text ({error}). Save it as CSV in UTF-8.") from error
    clock = next((name for name in ("frame", "time") if name in table.fieldnames), None)
    if clock is None or "emotion" not in table.fieldnames:
        raise MediaError(
            f"{path} needs the columns time or frame, and emotion; its first line names: {', '.join(table.fieldnames)}."
        )
    track, last = torch.full((frames, emotion.dim), torch.nan), -1.0
    for number, row in enumerate(rows, start=2):
        try:
            at, much = float(row[clock]), float(row.get("strength") or strength)
        except (TypeError, ValueError) as error:
            raise MediaError(f"{path}, line {number}: {clock} and strength must be numbers.") from error
        if not at > last:
            raise MediaError(f"{path}, line {number}: {clock} {at:g} does not come after the line before. Sort them.")
        last, name = at, (row["emotion"] or "").strip()
        check_strength(much, f"{path}, line {number}")
        begin = round(at if clock == "frame" else at * FPS)
        track[begin:] = torch.nan if name.lower() in UNTOLD else much * emotion.named(name).cpu()
    known = ~track.isnan()
    smooth = over_window(track.nan_to_num()) / over_window(known.float())
    return torch.where(known, smooth, torch.nan)


def _shown_in(path: Path, emotion: EmotionCondition, encode: Encode, crop: Crop) -> Tensor:
    """Difference of the expression in a picture or clip from neutral, ``(E,)``."""
    if is_video(path):
        with VideoReader(path, fps=FPS) as reader:
            places = np.linspace(0, len(reader) - 1, min(len(reader), LOOKED_AT)).round().astype(int)
            frames = reader.read(places.tolist())
    else:
        frames = read_picture(path)[None]
    if crop != "none":
        frames = _round_the_face(frames, path)
    motion = torch.cat([encode(frames[first : first + BATCH]) for first in range(0, len(frames), BATCH)])
    return emotion.shown(motion.mean(0, keepdim=True)).cpu()[0]


def _round_the_face(frames: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Frames cut as training clips were, by one square for all of them."""
    boxes = find_boxes(frames[::LOOK])
    boxes = boxes[~boxes.isnan().any(-1)]
    if not len(boxes):
        raise MediaError(
            f"no face found in {path}. Give a picture or a clip of one visible face, or the emotion's name."
        )
    height, width = frames.shape[1:3]
    left, top, side = face_square(boxes.mean(0).tolist(), height, width)
    prepared = height == width and side >= PREPARED * width
    return frames if prepared else frames[:, top : top + side, left : left + side]
