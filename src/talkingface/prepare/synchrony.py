"""Whether the lips of a clip and its sound belong together, by SyncNet."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from talkingface.core.errors import UnscorableError
from talkingface.metrics.faces import BOX, FACE_COLUMNS
from talkingface.metrics.functional.sync import SHIFTS, lip_sync
from talkingface.metrics.sync import SyncFeatures
from talkingface.metrics.track import Track
from talkingface.prepare.settings import Settings


class OutOfSyncError(Exception):
    """A clip is not to be kept; the reason is the message."""


@dataclass(frozen=True)
class Synchrony:
    """What SyncNet says of a clip.

    Attributes:
        offset: frames by which the sound leads; negative where it lags.
        confidence: how much nearer lips and sound are at that offset than at others (LSE-C over existing pairs alone,
            :class:`talkingface.metrics.lips.ValidLSEC`: the published padding makes short clips look sure).
    """

    offset: int
    confidence: float


def synchrony(
    network: SyncFeatures,
    pictures: NDArray[np.uint8],
    seen: NDArray[np.int32],
    boxes: NDArray[np.float32],
    wave: NDArray[np.float32],
) -> Synchrony:
    """Compare lips and sound of a clip at shifts of ±15 frames, as the metrics of lip synchrony do.

    Args:
        network: SyncNet.
        pictures: of the clip, ``(T, S, S, 3)``.
        seen: frames in which the face was looked for, ``(n,)``.
        boxes: of the face there, as fractions of the picture, ``(n, 4)``.
        wave: its sound, 16 kHz ``(640 * T,)``.

    Raises:
        OutOfSyncError: when it is too short, or its sound too empty, to tell.
    """
    faces = torch.full((len(pictures), FACE_COLUMNS), torch.nan)
    faces[torch.from_numpy(seen).long(), BOX] = torch.from_numpy(boxes) * pictures.shape[1]
    video = Track(torch.from_numpy(pictures).movedim(-1, 1), {"sync": network}, {"face": faces})
    try:
        speech, lips = Track(torch.from_numpy(wave), {"sync": network}).feature("sync"), video.feature("sync")
    except UnscorableError as error:
        raise OutOfSyncError(f"it cannot be told whether lips and sound are in sync: it {error}") from error
    count = min(len(speech), len(lips))
    if count <= SHIFTS:
        raise OutOfSyncError("too short to tell whether lips and sound are in sync")
    found = lip_sync(lips[:count], speech[:count], valid_only=True)
    return Synchrony(found.offset, round(found.confidence, 3))


def check_sync(found: Synchrony, settings: Settings) -> None:
    """Refuse a clip that is out of sync.

    Raises:
        OutOfSyncError: with the numbers.
    """
    if found.confidence < settings.min_confidence:
        raise OutOfSyncError(
            f"lips and sound do not belong together (confidence {found.confidence:.1f}, offset {found.offset})"
        )
    if abs(found.offset) > settings.max_offset:
        where = "early" if found.offset > 0 else "late"
        raise OutOfSyncError(f"the sound is {abs(found.offset)} frames {where} (confidence {found.confidence:.1f})")
