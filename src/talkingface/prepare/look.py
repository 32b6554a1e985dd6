"""The first pass over a source: each frame is decoded once, for its cuts, and every n-th for faces and sharpness."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.media import VideoReader
from talkingface.metrics.compat.shots import ShotFinder
from talkingface.prepare.settings import Settings

FACE = 64  # pixels that the smallest wanted face has when faces are looked for
LEAST = 24  # pixels of the smallest face that is found: three eighths of a wanted one
AT_ONCE = 2**25  # bytes of pixels: 170 frames at 256 px, 5 at 1080p
GREY = torch.tensor([0.299, 0.587, 0.114])[:, None, None]  # BT.601, as OpenCV turns RGB to grey

Recognizer = Callable[[Tensor, Tensor], Tensor]  # picture uint8 (3, H, W), boxes (n, 4) → unit vectors (n, E)
Detector = Callable[[Tensor, int], list[tuple[Tensor, Tensor]]]  # :meth:`MTCNN.detect`


@dataclass(frozen=True)
class Faces:
    """The faces of one frame, in pixels of the source.

    Attributes:
        frame: its number at 25 a second.
        boxes: left, top, right, bottom, ``(n, 4)``.
        points: eyes, nose, corners of the mouth, ``(n, 5, 2)``.
        blur: variance of the Laplacian of the middle of each, ``(n,)``.
        who: embeddings of recognition, unit vectors ``(n, E)``; E is 0 without.
    """

    frame: int
    boxes: Tensor
    points: Tensor
    blur: Tensor
    who: Tensor


@dataclass(frozen=True)
class Look:
    """What the first pass saw.

    Attributes:
        width, height: of the frames, in pixels.
        frames: how many, at 25 a second.
        shots: first frame of each, and the one behind its last.
        faces: of every n-th frame.
    """

    width: int
    height: int
    frames: int
    shots: list[tuple[int, int]]
    faces: list[Faces]


def look(reader: VideoReader, detect: Detector, settings: Settings, recognize: Recognizer | None = None) -> Look:
    """Look at a source once.

    Args:
        reader: of the source, at 25 frames a second.
        detect: finds all faces in frames, see :meth:`talkingface.metrics.networks.facenet.MTCNN.detect`.
        settings: ``stride``, ``min_face``, ``margin`` and ``size`` count here.
        recognize: embeds faces, where people are told apart.

    Raises:
        MediaError: when frames cannot be decoded.
    """
    width, height = reader.info.width, reader.info.height
    finder, faces, first = ShotFinder(), list[Faces](), 0
    for frames in reader.stream(max(1, AT_ONCE // (3 * width * height))):
        for frame in frames:
            finder.add(frame)
        wanted = [number for number in range(first, first + len(frames)) if number % settings.stride == 0]
        if wanted:
            pictures = torch.from_numpy(frames[[number - first for number in wanted]]).movedim(-1, 1)
            faces.extend(_faces(pictures, wanted, detect, settings, recognize))
        first += len(frames)
    return Look(width, height, first, finder.shots(), faces)


def _faces(
    pictures: Tensor, numbers: list[int], detect: Detector, settings: Settings, recognize: Recognizer | None
) -> Iterator[Faces]:
    """Faces of frames ``(n, 3, H, W)`` uint8, looked for in smaller ones: what counts is the smallest wanted face."""
    share = min(1.0, FACE / settings.min_face)
    height, width = pictures.shape[-2:]
    small = pictures
    if share < 1:
        target = (max(1, round(height * share)), max(1, round(width * share)))
        small = functional.interpolate(pictures, target, mode="bilinear", antialias=True)
    scale = torch.tensor([width / small.shape[-1], height / small.shape[-2]])
    for picture, number, (boxes, points) in zip(pictures, numbers, detect(small, LEAST), strict=True):
        found = boxes[:, :4] * scale.repeat(2)
        blur = [sharpness(picture, box, settings.margin, settings.size) for box in found]
        who = torch.zeros(len(found), 0) if recognize is None or not len(found) else recognize(picture, found)
        yield Faces(number, found, points * scale, torch.tensor(blur), who)


def sharpness(picture: Tensor, box: Tensor, margin: float, size: int) -> float:
    """Variance of the Laplacian of the middle of a face, as a clip of it would show it.

    Args:
        picture: uint8 ``(3, H, W)``.
        box: of the face, ``(4,)``.
        margin: side of the crop over the face's longer side; its central half is looked at.
        size: side of the clip, in pixels.

    Returns:
        In squared 8-bit steps; 0 where the box lies outside the picture.
    """
    height, width = picture.shape[-2:]
    reach = float((box[2:] - box[:2]).max()) * margin / 4
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    left, right = max(0, round(x - reach)), min(width, round(x + reach))
    top, bottom = max(0, round(y - reach)), min(height, round(y + reach))
    if right - left < 3 or bottom - top < 3:
        return 0.0
    middle = picture[None, :, top:bottom, left:right].float()
    middle = functional.interpolate(middle, (size // 2, size // 2), mode="bilinear", antialias=True)
    grey = (middle * GREY).sum(1, keepdim=True)
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    return functional.conv2d(grey, kernel).var(correction=0).item()
