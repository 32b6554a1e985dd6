"""The second pass: the frames of one clip are decoded, cropped and encoded, and its arrays written beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.files import atomic_file
from talkingface.core.images import resize
from talkingface.core.media import VideoReader, VideoWriter
from talkingface.prepare.choose import FPS, Span
from talkingface.prepare.look import AT_ONCE
from talkingface.prepare.networks import Networks
from talkingface.prepare.records import Clip, Source
from talkingface.prepare.settings import Settings
from talkingface.prepare.synchrony import Synchrony, check_sync, synchrony
from talkingface.prepare.tracks import mean_face
from talkingface.weights import sha256

SAMPLES = 640  # of 16 kHz sound in a frame
SILENCE = -60.0  # dBFS; quieter sound is none


def cut(
    source: Source,
    span: Span,
    wave: NDArray[np.float32] | None,
    inside: str,
    name: str,
    settings: Settings,
    root: Path,
    networks: Networks,
) -> Clip:
    """Make one clip.

    Args:
        source: what it is cut from.
        span: when and where.
        wave: sound of the source from its span's start, 16 kHz; ``None`` without.
        inside: the source below the folder that is prepared.
        name: of the clip below ``clips``, without suffix.
        settings: ``size`` and the thresholds of synchrony count here.
        root: the prepared set.
        networks: are shown the pictures as they are encoded; these stay in memory until then (150 MB at 256 px and
            30 s).

    Raises:
        MediaError: when frames cannot be decoded, or the disk is full.
        OutOfSyncError: when lips and sound are to be in sync, and are not; no file is left then.
    """
    path = root / "clips" / f"{name}.mp4"
    sound = None if wave is None else wave[span.first * SAMPLES : span.end * SAMPLES]
    loud = loudness(sound)
    sound = sound if loud > SILENCE else None
    begin, seconds = source.start + span.first / FPS, (span.end - span.first) / FPS
    bottom, right = span.top + span.side, span.left + span.side
    looked_at = _looked_at(span)
    keep = networks.controls is not None or (networks.sync is not None and sound is not None)
    sync: Synchrony | None = None
    with (
        VideoReader(source.path, start=begin, seconds=seconds) as reader,
        VideoWriter(path, audio=sound) as writer,
    ):
        kept = list[NDArray[np.uint8]]()
        for frames in reader.stream(max(1, AT_ONCE // (3 * reader.info.width * reader.info.height))):
            crop = torch.from_numpy(frames[:, span.top : bottom, span.left : right]).movedim(-1, 1)
            pixels = resize(crop.float(), settings.size).round_().clamp_(0, 255).byte()
            kept.append(pixels.movedim(1, -1).numpy())
            writer.write(kept[-1])
            if not keep:
                kept.clear()
        count = writer.frames_written
        pictures = np.concatenate(kept) if keep else None
        if networks.sync is not None and sound is not None and pictures is not None:
            sync = synchrony(networks.sync, pictures, looked_at["frames"], looked_at["boxes"], sound)
            check_sync(sync, settings)
    controls = {} if networks.controls is None else networks.controls.read(None, pictures)
    arrays = path.with_suffix(".npz")
    with atomic_file(arrays) as part, part.open("wb") as file:
        measured = {name: values.numpy() for name, values in controls.items()}
        np.savez(file, allow_pickle=False, **looked_at, **measured)
    return Clip(
        path=path.relative_to(root).as_posix(),
        identity=source.identity,
        split=source.split,
        emotion=source.emotion,
        intensity=source.intensity,
        frames=count,
        sound=sound is not None,
        source=inside,
        start=round(begin, 2),
        left=span.left,
        top=span.top,
        side=span.side,
        face=round(span.face, 1),
        yaw=round(float(span.pose[:, 0].abs().max()), 1),
        pitch=round(float(span.pose[:, 1].median()), 1),
        roll=round(float(span.pose[:, 2].median()), 1),
        blur=round(float(span.track.blur.median()), 1),
        loudness=round(loud, 1),
        likeness=round(float(span.track.likeness.min()), 3) if len(span.track.likeness) else None,
        offset=None if sync is None else sync.offset,
        confidence=None if sync is None else sync.confidence,
        labelled=_share_known(controls["landmarks"]) if controls else None,
        sha256=sha256(path),
        arrays_sha256=sha256(arrays),
    )


def _share_known(rows: Tensor) -> float:
    """Share of rows ``(T, ...)`` without NaN."""
    return round(float((~rows.flatten(1).isnan().any(1)).float().mean()), 3)


def loudness(wave: NDArray[np.float32] | None) -> float:
    """Root mean square in dBFS, at least -120; a full square wave has 0.

    >>> round(loudness(np.full(100, 0.1, np.float32)), 3)
    -20.0
    """
    power = 0.0 if wave is None or not len(wave) else float(np.square(wave, dtype=np.float64).mean())
    return max(-120.0, 10 * float(np.log10(max(power, 1e-12))))


def _looked_at(span: Span) -> dict[str, NDArray[Any]]:
    """What is kept of the frames that were looked at.

    ``frames`` (n,) are their numbers in the clip; ``boxes`` (n, 4) and ``points`` (n, 5, 2) are those of the face as
    fractions of the picture; ``points_pose`` (n, 3) is yaw, pitch, roll in degrees by these points; with recognition
    ``face`` (E,) is the mean of the face as a unit vector. What a reader of controls says of every frame stands beside
    them by its own names (:meth:`~talkingface.core.interfaces.ControlReader.read`).
    """
    corner = torch.tensor([span.left, span.top])
    boxes = (span.track.boxes.unflatten(1, (2, 2)) - corner).flatten(1) / span.side
    face = {"face": mean_face(span.track.who).numpy()} if span.track.who.shape[1] else {}
    return {
        "frames": np.array(span.track.frames, np.int32) - np.int32(span.first),
        "boxes": boxes.numpy().astype(np.float32),
        "points": ((span.track.points - corner) / span.side).numpy().astype(np.float32),
        "points_pose": span.pose.numpy(),
        **face,
    }
