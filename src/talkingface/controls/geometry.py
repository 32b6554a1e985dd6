"""From landmarks and head rotation to control tracks."""

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.geometry import euler

NOSE_TIP, LEFT_BROW, RIGHT_BROW, CHIN = 30, 21, 22, 8  # of 68 iBUG points; the inner ends of the brows


def controls_from(landmarks: Tensor, rotation: Tensor, aspect: float = 1.0) -> dict[str, Tensor]:
    """Control tracks as AniTalker's released code defines them.

    Args:
        landmarks: 68 points as fractions of width and height, ``(T, 68, 2)``, NaN where unknown.
        rotation: head rotations as :func:`talkingface.core.geometry.rotation`, ``(T, 3, 3)``, NaN where unknown.
        aspect: width of the frame over its height.

    Returns:
        ``pose`` ``(T, 3)`` yaw, pitch, roll in degrees; ``location`` ``(T,)`` x of the nose tip over frame width;
        ``scale`` ``(T,)`` from between the brows to the chin, over frame height; ``landmarks`` as given. Float32, NaN
        where unknown.
    """
    check_shape(landmarks, ("T", 68, 2), "landmarks")
    check_shape(rotation, (len(landmarks), 3, 3), "rotation")
    points = landmarks.double() * torch.tensor([aspect, 1.0])
    brows = (points[:, LEFT_BROW] + points[:, RIGHT_BROW]) / 2
    scale = (brows - points[:, CHIN]).norm(dim=-1)
    return {
        "pose": euler(rotation).float(),
        "location": landmarks[:, NOSE_TIP, 0].float(),
        "scale": scale.float(),
        "landmarks": landmarks.float(),
    }
