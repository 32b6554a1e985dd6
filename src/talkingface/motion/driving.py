"""How a driving clip moves a portrait whose motion places keypoints: by LivePortrait's rules, or face-vid2vid's.

Motion is ``(..., D)``; a portrait's motion ``(1, D)`` serves for many driving frames ``(T, D)``. LivePortrait's
released weights fixed what its 21 keypoints do; of other numbers of keypoints nobody knows which are the lips.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError, ShapeError, did_you_mean
from talkingface.core.geometry import euler, rotation
from talkingface.core.keypoints import LIPS
from talkingface.core.motion_spec import MotionSpec

SPEC = MotionSpec.of_keypoints("liveportrait", 21)
Region = Literal["all", "expression", "pose", "lips", "eyes"]
EYES = (11, 13, 15, 16, 18)
PARTS: dict[str, Sequence[int]] = {"lips": LIPS, "eyes": EYES}
REGIONS: tuple[Region, ...] = ("all", "expression", "pose", "lips", "eyes")
# What moves with a region beside the expression.
RIGID: dict[Region, tuple[str, ...]] = {"all": ("pose", "translation", "scale"), "pose": ("pose", "translation")}
# Keypoints whose expression absolute driving takes over whole, and single axes of others: the rest is identity.
ABSOLUTE = (1, 2, 6, *range(11, 21))
ABSOLUTE_AXES = ((3, 1), (4, 1), (5, 2), (8, 2), (9, 1), (9, 2))  # keypoint, axis
# Expression of closed lips, to the digits that are specified; every other entry is below 0.0009 and taken as 0.
CLOSED_LIPS = {7: (0.0, 0.0026, 0.0), 14: (0.0, -0.0018, 0.0), 17: (0.0, -0.0012, 0.0)}
CLOSED_LIPS |= {19: (0.0, -0.0151, -0.0025), 20: (0.0002, 0.0056, 0.0027)}


def relative(source: Tensor, driving: Tensor, start: Tensor, region: Region = "all", spec: MotionSpec = SPEC) -> Tensor:
    """The portrait moved as the driving person has moved since the first frame (LivePortrait).

    ``R = (R_i R_0ᵀ) R_s`` for LivePortrait's matrices, ``expression = e_s + e_i - e_0``, ``scale = s_s s_i / s_0``,
    ``t = t_s + t_i - t_0``. Its expression-friendly driving is the same: frame 0 is the portrait itself, so that the
    ratio of their sizes is 1.

    Args:
        source: motion of the portrait, ``(..., D)``.
        driving: motion of the driving frames, ``(..., D)``.
        start: motion of the first driving frame, ``(..., D)``.
        region: what moves; the scale does with ``"all"`` only, turn and shift with ``"all"`` and ``"pose"``.
        spec: of the motion, in LivePortrait's convention.

    Returns:
        Motion ``(..., D)``; yaw within ±90 degrees.

    Raises:
        ConfigError: for an unknown region, or one that is not known of this spec; the same below.
        ShapeError: for motion of another width; the same below.
    """
    own, now, first = (spec.unpack(motion) for motion in (source, driving, start))
    turned = rotation(own["pose"]) @ rotation(first["pose"]).mT @ rotation(now["pose"])
    moved = {
        "expression": own["expression"] + now["expression"] - first["expression"],
        "pose": euler(turned),
        "translation": own["translation"] + now["translation"] - first["translation"],
        "scale": own["scale"] * now["scale"] / first["scale"],
    }
    return _only(spec, region, own, moved, _moving(spec, region))


def absolute(source: Tensor, driving: Tensor, region: Region = "all", spec: MotionSpec = SPEC) -> Tensor:
    """The portrait with the driving person's pose and expression, but its own size and, where known, shape of face.

    Which expression is shape is known of LivePortrait's 21 keypoints; of others all of it is taken over.

    Args:
        source: motion of the portrait, ``(..., D)``.
        driving: motion of the driving frames, ``(..., D)``.
        region: what moves.
        spec: of the motion, in any convention.

    Returns:
        Motion ``(..., D)``.
    """
    own, moved = spec.unpack(source), spec.unpack(driving)
    taken = _moving(spec, region)
    if region in ("all", "expression") and spec == SPEC:
        taken = torch.zeros(21, 3, dtype=torch.bool)
        taken[list(ABSOLUTE)] = True
        taken[tuple(zip(*ABSOLUTE_AXES, strict=True))] = True
    if "scale" in own:
        moved["scale"] = own["scale"].expand_as(moved["scale"])
    return _only(spec, region, own, moved, taken)


def by_picture(source: Tensor, driving: Tensor, region: Region = "all", spec: MotionSpec = SPEC) -> Tensor:
    """The portrait with pose, place and size of a single driving picture, and its expression against closed lips.

    Args:
        source: motion of the portrait, ``(..., D)``.
        driving: motion of the picture, ``(..., D)``.
        region: what moves.
        spec: of the motion, in LivePortrait's convention.

    Returns:
        Motion ``(..., D)``.
    """
    own, now = spec.unpack(source), spec.unpack(driving)
    neutral = driving.new_zeros(spec.num_keypoints, 3)
    if spec == SPEC:
        for keypoint, place in CLOSED_LIPS.items():
            neutral[keypoint] = neutral.new_tensor(place)
    moved = now | {"expression": own["expression"] + now["expression"] - neutral.flatten()}
    return _only(spec, region, own, moved, _moving(spec, region))


def keypoint_relative(
    source: Tensor, driving: Tensor, start: Tensor, canonical: Tensor, region: Region, spec: MotionSpec
) -> Tensor:
    """The portrait's keypoints moved as those of the driving person since the first frame (face-vid2vid).

    Args:
        source: motion of the portrait, ``(1, D)``.
        driving: motion of the driving frames, ``(T, D)``.
        start: motion of the first driving frame, ``(1, D)``.
        canonical: keypoints of the portrait, ``(1, K, 3)``.
        region: what moves.
        spec: of the motion, in any convention.

    Returns:
        Motion ``(T, D)`` with the portrait's pose: what moves the keypoints is in its expression.
    """
    now = _only(spec, region, spec.unpack(start), spec.unpack(driving), _moving(spec, region))
    own, placed, first = (spec.keypoints(motion, canonical) for motion in (source, now, start))
    points = expression_friendly(own, placed, first)
    return spec.with_keypoints(source.expand(len(driving), -1), canonical, points)


def check_region(region: str, spec: MotionSpec) -> None:
    """Refuse a region of the face that a motion does not have.

    Args:
        region: its name.
        spec: of the motion.

    Raises:
        ConfigError: for an unknown region, and for lips and eyes of keypoints of which nobody knows what they do.
    """
    if region not in REGIONS:
        raise ConfigError(f"there is no region '{region}' of the face; known: {did_you_mean(region, REGIONS)}.")
    if region in PARTS and spec != SPEC:
        raise ConfigError(
            f"which of {spec.num_keypoints} keypoints of the convention {spec.convention} are the {region} is not "
            "known, only which of LivePortrait's 21. Use the region all, expression or pose."
        )


def expression_friendly(source: Tensor, driving: Tensor, start: Tensor) -> Tensor:
    """Driving keypoints ``x_s + m (x_i - x_0)``, which fit the size of the portrait's face.

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
    from scipy.spatial import ConvexHull, QhullError  # slow to import, and face-vid2vid's driving alone needs it

    volumes = []
    for points in (source, start):
        check_shape(points, (1, "K", 3), "keypoints")
        try:
            volumes.append(ConvexHull(points[0].detach().cpu().numpy().astype(np.float64)).volume)
        except QhullError as error:
            raise ShapeError("keypoints lie in one plane, so their hull has no volume; use plain driving.") from error
    return float(np.sqrt(volumes[0] / volumes[1]))


def _only(spec: MotionSpec, region: Region, own: dict[str, Tensor], moved: dict[str, Tensor], taken: Tensor) -> Tensor:
    """Take of the moved parts what belongs to a region, the portrait's own for the rest."""
    batch = torch.broadcast_shapes(own["pose"].shape, moved["pose"].shape)[:-1]
    own, moved = ({name: part.expand(*batch, -1) for name, part in parts.items()} for parts in (own, moved))
    parts = own | {name: moved[name] for name in RIGID.get(region, ()) if name in own}
    keep = taken.flatten().to(own["expression"].device)
    return spec.pack(**parts | {"expression": torch.where(keep, moved["expression"], own["expression"])})


def _moving(spec: MotionSpec, region: Region) -> Tensor:
    """Which of the ``(K, 3)`` coordinates of the expression belong to a region."""
    check_region(region, spec)
    taken = torch.zeros(spec.num_keypoints, 3, dtype=torch.bool)
    taken[list(PARTS.get(region, range(spec.num_keypoints)))] = region != "pose"
    return taken
