"""Where the mouth is in a picture, so that losses look inside or outside of it (ControlTalk, section 3.4)."""

import torch
from torch import Tensor
from torchvision.ops import roi_align

from talkingface.core.checks import check_shape

JAW, BRIDGE, CORNERS = slice(0, 17), 29, (48, 54)  # of 68 points: the jaw, the middle of the nose, the mouth's corners
LIPS = slice(48, 68)
REACH = 1.1  # of the box over half the distance from the nose to the chin, or of the mouth's corners
DOWN, ASIDE = 2.25, 1.25  # height, and half the width, of the mouth's box in that unit
CLOSE_UP = 1.6  # side of the square round the lips, in widths of the mouth: a mouth wide open is in it
FACE = 4.5  # side of a square whose lower half has the mouth's box in it: how Wav2Lip's faces are cut


def mouth_boxes(landmarks: Tensor) -> Tensor:
    """The box from the middle of the nose to below the chin, by the released code's rule.

    Args:
        landmarks: ``(..., 68, 2)``, in any unit.

    Returns:
        x1, y1, x2, y2 in that unit, ``(..., 4)``.

    Raises:
        ShapeError: for other landmarks.
    """
    x, top, reach = _mouth(landmarks)
    return torch.stack([x - ASIDE * reach, top, x + ASIDE * reach, top + DOWN * reach], -1)


def face_boxes(landmarks: Tensor) -> Tensor:
    """The square round the face whose lower half holds the mouth's box, ``(..., 68, 2)`` → ``(..., 4)``."""
    x, middle, reach = _mouth(landmarks)
    half = FACE / 2 * reach
    return torch.stack([x - half, middle - half, x + half, middle + half], -1)


def lip_boxes(landmarks: Tensor) -> Tensor:
    """The square round the lips, ``(..., 68, 2)`` → ``(..., 4)``."""
    check_shape(landmarks, (..., 68, 2), "landmarks")
    left, right = (landmarks[..., corner, :] for corner in CORNERS)
    half = CLOSE_UP / 2 * (right - left).norm(dim=-1, keepdim=True)
    middle = landmarks[..., LIPS, :].mean(-2)
    return torch.cat([middle - half, middle + half], -1)


def mouth_mask(landmarks: Tensor, size: int) -> Tensor:
    """Which pixels lie in the mouth's box.

    Args:
        landmarks: ``(N, 68, 2)`` as fractions of the picture.
        size: side of the pictures, in pixels.

    Returns:
        Bool ``(N, 1, size, size)``.

    >>> points = torch.full((1, 68, 2), 0.5)
    >>> points[0, 8, 1], points[0, 48, 0], points[0, 54, 0] = 0.7, 0.4, 0.6
    >>> mouth_mask(points, 8)[0, 0].sum((0, 1)).item()  # 2 columns of 2 rows
    4
    """
    box = mouth_boxes(landmarks)[:, :, None, None]
    centre = (torch.arange(size, device=landmarks.device) + 0.5) / size
    x, y = centre[None, None, :], centre[None, :, None]
    return ((x > box[:, 0]) & (x < box[:, 2]) & (y > box[:, 1]) & (y < box[:, 3]))[:, None]


def cut(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """A box of each picture, with gradients; black beyond the picture.

    Args:
        images: ``(N, C, H, W)``.
        boxes: x1, y1, x2, y2 as fractions of the picture, ``(N, 4)``.
        size: side of the result, in pixels.

    Returns:
        ``(N, C, size, size)``, in the precision of the boxes.
    """
    height, width = images.shape[-2:]
    scale = boxes.new_tensor([width, height, width, height])
    numbers = torch.arange(len(images), device=images.device, dtype=boxes.dtype)[:, None]
    found: Tensor = roi_align(images.to(boxes.dtype), torch.cat([numbers, boxes * scale], 1), size, aligned=True)
    return found


def _mouth(landmarks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Middle of the mouth (x), of the nose (y), and the unit of the boxes, each ``(...)``."""
    check_shape(landmarks, (..., 68, 2), "landmarks")
    left, right = (landmarks[..., corner, 0] for corner in CORNERS)
    top = landmarks[..., BRIDGE, 1]
    reach = REACH / 2 * torch.maximum(landmarks[..., JAW, 1].amax(-1) - top, right - left)
    return (left + right) / 2, top, reach
