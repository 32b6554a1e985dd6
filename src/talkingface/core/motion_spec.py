"""The one currency of motion: a flat tensor ``(..., D)`` and a spec that names its slices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.keypoints import (
    KEYPOINT_CONVENTIONS,
    KeypointConvention,
    expression_to,
    keypoint_slices,
    place_keypoints,
)

MotionKind = Literal["vector", "keypoints"]


@dataclass(frozen=True)
class MotionSpec:
    """What the numbers of a motion tensor mean.

    A generator never needs to know which representation it generates; a renderer looks at ``kind`` only.

    Args:
        kind: ``"vector"`` for a code without geometry, ``"keypoints"`` where points can be computed from it.
        slices: name → width, in the order in which they are packed.
        num_keypoints: number of points K of a ``"keypoints"`` representation, else 0.
        convention: how the motion places canonical keypoints, see :mod:`~.keypoints`; ``None`` where it does not.

    Raises:
        ConfigError: when a width is not positive, or kind, number of keypoints, slices and convention do not fit.

    >>> spec = MotionSpec("vector", {"pose": 3, "expression": 4})
    >>> spec.dim, spec.slice("expression")
    (7, slice(3, 7, None))
    """

    kind: MotionKind
    slices: Mapping[str, int]
    num_keypoints: int = 0
    convention: KeypointConvention | None = None

    def __post_init__(self) -> None:
        if not self.slices or any(width < 1 for width in self.slices.values()):
            raise ConfigError(f"a motion spec needs slices of positive width, got {dict(self.slices)}.")
        if (self.kind == "keypoints") != (self.num_keypoints > 0):
            raise ConfigError(f"a {self.kind} motion spec cannot have {self.num_keypoints} keypoints.")
        if self.convention is None:
            return
        if self.convention not in KEYPOINT_CONVENTIONS:
            known = did_you_mean(self.convention, KEYPOINT_CONVENTIONS)
            raise ConfigError(f"there is no keypoint convention '{self.convention}'; known: {known}.")
        wanted = keypoint_slices(self.convention, self.num_keypoints)
        if dict(self.slices) != wanted:
            raise ConfigError(
                f"{self.num_keypoints} keypoints of the convention {self.convention} are placed by {wanted}, "
                f"not by {dict(self.slices)}."
            )

    @classmethod
    def of_keypoints(cls, convention: KeypointConvention, count: int) -> Self:
        """The spec of a published keypoint motion.

        Args:
            convention: ``"liveportrait"`` or ``"facevid2vid"``.
            count: number of keypoints K.

        >>> MotionSpec.of_keypoints("liveportrait", 21).dim
        70
        """
        return cls("keypoints", keypoint_slices(convention, count), count, convention)

    @property
    def dim(self) -> int:
        """Width D of the flat tensor."""
        return sum(self.slices.values())

    def slice(self, name: str) -> slice:
        """Where a named part lies on the last axis.

        Raises:
            ConfigError: for a name that the spec does not have.
        """
        if name not in self.slices:
            raise ConfigError(f"motion has no slice '{name}'; it has: {did_you_mean(name, self.slices)}.")
        start = 0
        for known, width in self.slices.items():
            if known == name:
                return slice(start, start + width)
            start += width
        raise AssertionError("unreachable")

    def pack(self, **parts: Tensor) -> Tensor:
        """Join named parts ``(..., width)`` into one motion tensor ``(..., D)``.

        Raises:
            ConfigError: when a part is missing or unknown.
            ShapeError: when a part has another width.
        """
        if set(parts) != set(self.slices):
            raise ConfigError(f"motion is packed from {list(self.slices)}, got {sorted(parts)}.")
        for name, width in self.slices.items():
            check_shape(parts[name], (..., width), f"motion part '{name}'")
        return torch.cat([parts[name] for name in self.slices], dim=-1)

    def unpack(self, motion: Tensor) -> dict[str, Tensor]:
        """Take a motion tensor ``(..., D)`` apart into views ``(..., width)``.

        Raises:
            ShapeError: when the last axis is not D wide.
        """
        check_shape(motion, (..., self.dim), "motion")
        return dict(zip(self.slices, motion.split(list(self.slices.values()), dim=-1), strict=True))

    def keypoints(self, motion: Tensor, canonical: Tensor) -> Tensor:
        """Where a motion puts canonical keypoints.

        Args:
            motion: ``(..., D)``.
            canonical: ``(..., K, 3)``.

        Returns:
            ``(..., K, 3)`` in ``[-1, 1]``, nominally.

        Raises:
            ConfigError: when the motion places no keypoints.
            ShapeError: when motion or canonical keypoints are of another width.
        """
        return place_keypoints(self._placing(), self.unpack(motion), canonical)

    def with_keypoints(self, motion: Tensor, canonical: Tensor, keypoints: Tensor) -> Tensor:
        """The motion whose expression is changed so that canonical keypoints come to lie at given places.

        Args:
            motion: ``(..., D)``; pose, translation and scale stay.
            canonical: ``(..., K, 3)``.
            keypoints: where they shall lie, ``(..., K, 3)``.

        Returns:
            ``(..., D)``, whose :meth:`keypoints` are the given ones.

        Raises:
            ConfigError, ShapeError: as :meth:`keypoints`.
        """
        parts = self.unpack(motion)
        parts["expression"] = expression_to(self._placing(), parts, canonical, keypoints)
        return self.pack(**parts)

    def _placing(self) -> KeypointConvention:
        if self.convention is None:
            raise ConfigError(f"this {self.kind} motion ({', '.join(self.slices)}) does not place canonical keypoints.")
        return self.convention

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON, for model cards and ``talkingface show``."""
        return {
            "kind": self.kind,
            "slices": dict(self.slices),
            "num_keypoints": self.num_keypoints,
            "convention": self.convention,
        }
