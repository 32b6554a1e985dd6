"""How a driving clip moves a portrait, as in LivePortrait's released pipeline.

Motion is ``(..., D)`` in LivePortrait's convention with 21 keypoints, whose indices the released weights fixed; a
portrait's motion ``(1, D)`` serves for many driving frames ``(T, D)``.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError, ShapeError, did_you_mean
from talkingface.core.geometry import euler, rotation
from talkingface.core.motion_spec import MotionSpec

SPEC = MotionSpec.of_keypoints("liveportrait", 21)
Region = Literal["all", "expression", "pose", "lips", "eyes"]
LIPS = (6, 12, 14, 17, 19, 20)
EYES = (11, 13, 15, 16, 18)
REGIONS: dict[Region, Sequence[int]] = {
    "all": range(21),
    "expression": range(21),
    "pose": (),
    "lips": LIPS,
    "eyes": EYES,
}
# What moves with a region beside the expression.
RIGID: dict[Region, tuple[str, ...]] = {"all": ("pose", "translation", "scale"), "pose": ("pose", "translation")}
# Keypoints whose expression absolute driving takes over whole, and single axes of others: the rest is identity.
ABSOLUTE = (1, 2, 6, *range(11, 21))
ABSOLUTE_AXES = ((3, 1), (4, 1), (5, 2), (8, 2), (9, 1), (9, 2))  # keypoint, axis
# Expression of closed lips, to the digits that are specified; every other entry is below 0.0009 and taken as 0.
CLOSED_LIPS = {7: (0.0, 0.0026, 0.0), 14: (0.0, -0.0018, 0.0), 17: (0.0, -0.0012, 0.0)}
CLOSED_LIPS |= {19: (0.0, -0.0151, -0.0025), 20: (0.0002, 0.0056, 0.0027)}


def relative(source: Tensor, driving: Tensor, start: Tensor, region: Region = "all") -> Tensor:
    """The portrait moved as the driving person has moved since the first frame.

    ``R = (R_i R_0ᵀ) R_s`` for LivePortrait's matrices, ``expression = e_s + e_i - e_0``, ``scale = s_s s_i / s_0``,
    ``t = t_s + t_i - t_0``.

    Args:
        source: motion of the portrait, ``(..., 70)``.
        driving: motion of the driving frames, ``(..., 70)``.
        start: motion of the first driving frame, ``(..., 70)``.
        region: what moves; the scale does with ``"all"`` only, turn and shift with ``"all"`` and ``"pose"``.

    Returns:
        Motion ``(..., 70)``; yaw within ±90 degrees.

    Raises:
        ConfigError: for an unknown region; the same below.
        ShapeError: for motion of another width; the same below.
    """
    own, now, first = (SPEC.unpack(motion) for motion in (source, driving, start))
    turned = rotation(own["pose"]) @ rotation(first["pose"]).mT @ rotation(now["pose"])
    moved = {
        "expression": own["expression"] + now["expression"] - first["expression"],
        "pose": euler(turned),
        "translation": own["translation"] + now["translation"] - first["translation"],
        "scale": own["scale"] * now["scale"] / first["scale"],
    }
    return _only(region, own, moved, _whole(REGIONS[_known(region)]))


def absolute(source: Tensor, driving: Tensor, region: Region = "all") -> Tensor:
    """The portrait with the driving person's pose and expression, but its own size and shape of face.

    Args:
        source: motion of the portrait, ``(..., 70)``.
        driving: motion of the driving frames, ``(..., 70)``.
        region: what moves.

    Returns:
        Motion ``(..., 70)``.
    """
    own, moved = SPEC.unpack(source), SPEC.unpack(driving)
    taken = _whole(REGIONS[_known(region)])
    if region in ("all", "expression"):
        taken = _whole(ABSOLUTE)
        taken[tuple(zip(*ABSOLUTE_AXES, strict=True))] = True
    return _only(region, own, moved | {"scale": own["scale"].expand_as(moved["scale"])}, taken)


def by_picture(source: Tensor, driving: Tensor) -> Tensor:
    """The portrait with the pose, place and size of a single driving picture, and its expression against closed lips.

    Args:
        source: motion of the portrait, ``(..., 70)``.
        driving: motion of the picture, ``(..., 70)``.

    Returns:
        Motion ``(..., 70)``.
    """
    own, now = SPEC.unpack(source), SPEC.unpack(driving)
    neutral = driving.new_zeros(21, 3)
    for keypoint, place in CLOSED_LIPS.items():
        neutral[keypoint] = neutral.new_tensor(place)
    return SPEC.pack(**now | {"expression": own["expression"] + now["expression"] - neutral.flatten()})


def expression_friendly(source: Tensor, driving: Tensor, start: Tensor) -> Tensor:
    """Driving keypoints ``x_s + m (x_i - x_0)``, which fit the size of the portrait's face.

    Face-vid2vid's relative driving is the same formula.

    Args:
        source: keypoints of the portrait, ``(1, K, 3)``.
        driving: where the driving frames put the portrait's canonical keypoints, ``(T, K, 3)``.
        start: the same of the first frame, ``(1, K, 3)``.

    Returns:
        ``(T, K, 3)``.
    """
    return source + size_ratio(source, start) * (driving - start)


def size_ratio(source: Tensor, start: Tensor) -> float:
    """``m = sqrt(V(x_s) / V(x_0))``, V the volume of the convex hull of the keypoints.

    Args:
        source, start: keypoints of the portrait and of the first driving frame, ``(1, K, 3)``.

    Raises:
        ShapeError: for more than one face, or keypoints in one plane.
    """
    volumes = []
    for points in (source, start):
        check_shape(points, (1, "K", 3), "keypoints")
        try:
            volumes.append(ConvexHull(points[0].detach().cpu().numpy().astype(np.float64)).volume)
        except QhullError as error:
            raise ShapeError("keypoints lie in one plane, so their hull has no volume; use plain driving.") from error
    return float(np.sqrt(volumes[0] / volumes[1]))


def _only(region: Region, own: dict[str, Tensor], moved: dict[str, Tensor], taken: Tensor) -> Tensor:
    """Take of the moved parts what belongs to a region, the portrait's own for the rest."""
    batch = torch.broadcast_shapes(own["pose"].shape, moved["pose"].shape)[:-1]
    own, moved = ({name: part.expand(*batch, -1) for name, part in parts.items()} for parts in (own, moved))
    parts = own | {name: moved[name] for name in RIGID.get(region, ())}
    keep = taken.flatten().to(own["expression"].device)
    return SPEC.pack(**parts | {"expression": torch.where(keep, moved["expression"], own["expression"])})


def _whole(keypoints: Sequence[int]) -> Tensor:
    """Which of the ``(21, 3)`` coordinates belong to some keypoints."""
    taken = torch.zeros(21, 3, dtype=torch.bool)
    taken[list(keypoints)] = True
    return taken


def _known(region: str) -> Region:
    for known in REGIONS:
        if known == region:
            return known
    raise ConfigError(f"there is no region '{region}' of the face; known: {did_you_mean(region, REGIONS)}.")
