"""Face tracks and face crops as SyncNet's published preparation makes them (``run_pipeline``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

MIN_OVERLAP = 0.5  # IoU of neighbouring boxes of one track
MAX_GAP = 25  # frames without a box inside a track
MIN_BOXES = 100  # a track has more
MIN_SIDE = 100.0  # pixels; the mean side of a track's boxes is longer
MARGIN = 0.4  # of half the box, on the left and right, and twice that below
SMOOTHING = 13  # frames of the median filter over position and size
GREY = 110  # beyond the border of the frame
CROP = 224  # pixels

Boxes = NDArray[np.float64]  # (n, 4): left, top, right, bottom


@dataclass(frozen=True)
class FaceTrack:
    """One face over neighbouring frames.

    Args:
        frames: their numbers, without gaps, ``(n,)``.
        boxes: left, top, right, bottom in pixels, float64 ``(n, 4)``.
    """

    frames: NDArray[np.int64]
    boxes: Boxes


def face_tracks(detections: Sequence[Boxes], first: int = 0) -> list[FaceTrack]:
    """Link the boxes of one shot into tracks, greedily.

    A track starts with the first box that belongs to none, and takes from each later frame the first box that
    overlaps its last one by more than half; it ends when it found none for 25 frames. Gaps are filled linearly.
    Tracks of up to 100 found boxes, or with a mean side up to 100 pixels, are dropped.

    Args:
        detections: boxes of each frame of the shot, ``(n, 4)``, best first; of one frame they must not overlap much.
        first: number of the shot's first frame.

    Returns:
        The tracks, in the order in which they start.
    """
    left = [list(boxes) for boxes in detections]
    tracks: list[FaceTrack] = []
    while True:
        found: list[tuple[int, Boxes]] = []
        for frame, candidates in enumerate(left):
            if found and frame - found[-1][0] > MAX_GAP:
                break
            for number, box in enumerate(candidates):
                if not found or _overlap(box, found[-1][1]) > MIN_OVERLAP:
                    found.append((frame, candidates.pop(number)))
                    break
        if not found:
            return tracks
        if len(found) > MIN_BOXES:
            numbers = np.array([frame for frame, _ in found])
            corners = np.stack([box for _, box in found])
            frames = np.arange(numbers[0], numbers[-1] + 1)
            boxes = np.stack([np.interp(frames, numbers, corner) for corner in corners.T], axis=1)
            if (boxes[:, 2:] - boxes[:, :2]).mean(axis=0).max() > MIN_SIDE:
                tracks.append(FaceTrack(frames + first, boxes))


def median_filter(values: Tensor, size: int) -> Tensor:
    """Running median of an odd number of values, zeros beyond both ends; ``(n,)`` → ``(n,)``.

    >>> median_filter(torch.tensor([5.0, 9.0, 5.0, 5.0]), 3).tolist()
    [5.0, 5.0, 5.0, 5.0]
    """
    return functional.pad(values, (size // 2, size // 2)).unfold(0, size, 1).median(-1).values


def centres(boxes: Tensor) -> Tensor:
    """Half the longer side and the middle of each box.

    Args:
        boxes: left, top, right, bottom, ``(..., 4)``.

    Returns:
        Half side, x, y, ``(..., 3)``.
    """
    corner, opposite = boxes[..., :2], boxes[..., 2:4]
    return torch.cat([(opposite - corner).amax(-1, keepdim=True) / 2, (corner + opposite) / 2], dim=-1)


def smooth_centres(boxes: Tensor) -> Tensor:
    """Centres of a track behind a median filter of 13 frames; ``(n, 4)`` → ``(n, 3)``.

    The filter sees zeros beyond the ends of the track, as published: the first and last six are biased low.
    """
    return torch.stack([median_filter(values, SMOOTHING) for values in centres(boxes).T], dim=-1)


def crop_bounds(half: float, x: float, y: float) -> tuple[int, int, int, int, int]:
    """Where a crop lies: a square of 2.8 half sides, moved down by 0.4, in a frame with a border on all sides.

    Args:
        half: half the side of the face box, in pixels.
        x: its middle.
        y: its middle.

    Returns:
        Width of the border, and in the bordered frame top, bottom, left and right, all truncated to whole pixels.

    >>> crop_bounds(60.0, 149.42, 114.16)
    (108, 162, 330, 173, 341)
    """
    border = int(half * (1 + 2 * MARGIN))
    top, bottom = int(y + border - half), int(y + border + half * (1 + 2 * MARGIN))
    left, right = int(x + border - half * (1 + MARGIN)), int(x + border + half * (1 + MARGIN))
    return border, top, bottom, left, right


def crop_face(frames: Tensor, half: float, x: float, y: float) -> Tensor:
    """Cut the square around a face and scale it to 224 pixels.

    Args:
        frames: uint8 ``(..., H, W)``.
        half: half the side of the face box, in pixels.
        x: its middle.
        y: its middle.

    Returns:
        uint8 ``(..., 224, 224)``.
    """
    border, top, bottom, left, right = crop_bounds(half, x, y)
    height, width = frames.shape[-2:]
    rows = range(max(top, 0) - border, min(bottom, height + 2 * border) - border)  # of the frame without its border
    columns = range(max(left, 0) - border, min(right, width + 2 * border) - border)
    square = frames.new_full((*frames.shape[:-2], len(rows), len(columns)), GREY)
    up, low = max(rows.start, 0), min(rows.stop, height)
    near, far = max(columns.start, 0), min(columns.stop, width)
    if up < low and near < far:
        shown = frames[..., up:low, near:far]
        square[..., up - rows.start : low - rows.start, near - columns.start : far - columns.start] = shown
    return resize_bilinear(square, CROP)


def resize_bilinear(images: Tensor, size: int) -> Tensor:
    """Scale images to a square as OpenCV does (``INTER_LINEAR``): in whole numbers, weights in steps of 1/2048.

    Args:
        images: uint8 ``(..., h, w)``.
        size: new height and width, in pixels.

    Returns:
        uint8 ``(..., size, size)``.
    """
    (above, below, down), (before, behind, right) = (_taps(length, size) for length in images.shape[-2:])
    pixels = images.int()
    rows = pixels[..., before] * (2048 - right) + pixels[..., behind] * right
    upper, lower = rows[..., above, :] >> 4, rows[..., below, :] >> 4
    weight = down[:, None]
    return ((((2048 - weight) * upper >> 16) + (weight * lower >> 16) + 2) >> 2).clamp(0, 255).byte()


def _taps(length: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each new pixel: its two neighbours among the old ones, and the weight of the second in 1/2048."""
    place = ((torch.arange(size, dtype=torch.float64) + 0.5) * (length / size) - 0.5).float()
    first = place.floor()
    weight = ((place - first) * 2048).round().int()
    return first.long().clamp(0, length - 1), (first.long() + 1).clamp(0, length - 1), weight


def _overlap(box: Boxes, other: Boxes) -> float:
    """Intersection over union of two boxes ``(4,)``."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    shared = float(np.maximum(sides, 0).prod())
    areas = float((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod())
    return shared / (areas - shared)
