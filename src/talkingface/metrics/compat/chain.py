"""The steps of the official chain: AVI, JPEG, faces, tracks, XVID crops, JPEG again, SyncNet."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from talkingface.core.errors import UnscorableError
from talkingface.metrics.compat import ffmpeg
from talkingface.metrics.compat.shots import ShotFinder
from talkingface.metrics.functional.sync import LipSync, lip_sync
from talkingface.metrics.functional.tracking import (
    CROP,
    MIN_BOXES,
    FaceTrack,
    crop_face,
    face_tracks,
    smooth_centres,
)
from talkingface.metrics.networks.syncnet import SyncNet
from talkingface.metrics.sync import SAMPLES, check_sound, embed_lips, embed_speech, window_count

FPS = 25
SCALE, SCORE = 0.25, 0.9  # of the pictures that faces are looked for in; a face scores above it
BATCH = 16  # pictures


class Detector(Protocol):
    """What finds faces; :class:`talkingface.metrics.networks.s3fd.S3FD`, or a stand-in for it."""

    def detect(self, frames: Tensor, scale: float, threshold: float) -> list[Tensor]:
        """uint8 RGB ``(T, 3, H, W)`` → for each frame ``(n, 5)``: x1, y1, x2, y2 in pixels, score; best first."""
        ...


def official_sync(file: Path, network: SyncNet, detector: Detector) -> list[LipSync]:
    """Replay ``run_pipeline`` and ``run_syncnet`` on a file.

    Args:
        file: a video with sound.
        network: SyncNet.
        detector: finds faces.

    Returns:
        Distances of each face track, in the order of the official output.

    Raises:
        UnscorableError: no track of more than 100 frames, no usable sound, or a file that ffmpeg cannot convert.
    """
    with tempfile.TemporaryDirectory(prefix="talkingface-lse-") as folder:
        work = Path(folder)
        ffmpeg.to_avi(file, work / "video.avi")
        pictures = ffmpeg.to_pictures(work / "video.avi", work / "frames", quality=2)
        ffmpeg.to_wav(work / "video.avi", work / "audio.wav")
        tracks = _tracks(pictures, detector)
        if not tracks:
            raise UnscorableError(f"has no face that the official chain could follow over more than {MIN_BOXES} frames")
        found = []
        for number, track in enumerate(tracks):
            crop = _crop(pictures, track, work / "audio.wav", work / f"{number:05d}")
            found.append(_evaluate(crop, network))
        return found


def _tracks(pictures: Sequence[Path], detector: Detector) -> list[FaceTrack]:
    """Faces of every shot of at least 100 frames, followed."""
    finder = ShotFinder()
    boxes: list[NDArray[np.float64]] = []
    for start in range(0, len(pictures), BATCH):
        frames = [_read(path) for path in pictures[start : start + BATCH]]
        for frame in frames:  # the official chain looks for cuts in the AVI, whose JPEG copies differ little
            finder.add(frame)
        stack = torch.from_numpy(np.stack(frames)).movedim(-1, 1)
        boxes += [found[:, :4].double().numpy() for found in detector.detect(stack, scale=SCALE, threshold=SCORE)]
    shots = [(first, last) for first, last in finder.shots() if last - first >= MIN_BOXES]
    return [track for first, last in shots for track in face_tracks(boxes[first:last], first)]


def _crop(pictures: Sequence[Path], track: FaceTrack, sound: Path, stem: Path) -> Path:
    """Cut a track out of the pictures and the sound; gives the AVI that the second program reads."""

    def crops() -> Iterator[Tensor]:
        for frame, place in zip(track.frames, smooth_centres(torch.from_numpy(track.boxes)).tolist(), strict=True):
            yield crop_face(torch.from_numpy(_read(pictures[frame])).movedim(-1, 0), *place)

    silent, wav, whole = (stem.with_name(stem.name + suffix) for suffix in ("t.avi", ".wav", ".avi"))
    ffmpeg.write_xvid(crops(), CROP, silent)
    ffmpeg.cut_wav(sound, track.frames[0] / FPS, (track.frames[-1] + 1) / FPS, wav)
    ffmpeg.join(silent, wav, whole)
    silent.unlink()
    return whole


def _evaluate(crop: Path, network: SyncNet) -> LipSync:
    """``SyncNetInstance.evaluate``: JPEG at ffmpeg's own quality, wav once more, distances."""
    pictures = ffmpeg.to_pictures(crop, crop.with_suffix(""))
    wav = crop.with_name(f"{crop.stem}-again.wav")
    ffmpeg.to_wav(crop, wav, resync=True)
    samples = torch.from_numpy(soundfile.read(str(wav), dtype="int16")[0])
    check_sound(samples)
    count = window_count(min(len(pictures), len(samples) // SAMPLES))
    if count < 1:
        raise UnscorableError(f"has {len(samples) / ffmpeg.RATE:.2f} s of sound, less than SyncNet needs")

    def crops(first: int, last: int) -> Tensor:
        return torch.from_numpy(np.stack([_read(path) for path in pictures[first:last]])).movedim(-1, 1)

    return lip_sync(embed_lips(network, crops, count), embed_speech(network, samples, count))


def _read(path: Path) -> NDArray[np.uint8]:
    """A JPEG as RGB ``(H, W, 3)``."""
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))
