"""Keypoints corrected after they have moved: eyes and lips as open as told, shoulders left in place."""

import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.motion import Retargeting
from talkingface.pipelines.face import eye_openings, lip_opening

WIDEST = 0.8  # height over width; no eye and no mouth is open further


def check_retouch(part: Retargeting | None, stitch: bool | None, eyes: float | None, lips: float | None) -> None:
    """Refuse what no face, or not this model, can do.

    Args:
        part: the model's, where it has one.
        stitch: whether stitching is asked for.
        eyes, lips: how far they shall be open, height over width, where that is asked for.

    Raises:
        ConfigError: for a ratio that no face has, or a model without the part.
    """
    opened = {name: ratio for name, ratio in (("eyes", eyes), ("lips", lips)) if ratio is not None}
    for name, ratio in opened.items():
        if not 0.0 <= ratio <= WIDEST:
            raise ConfigError(
                f"{name} cannot be open by {ratio:g}: height over width lies between 0 (closed) and {WIDEST}."
            )
    asked = [*opened, *(["stitch"] if stitch else [])]
    if part is None and asked:
        raise ConfigError(
            f"this model has no retargeting part, which {' and '.join(asked)} would need. 'talkingface convert "
            "liveportrait' makes models that have one, where stitching and retargeting are among its files."
        )


class Retouch:
    """Corrects motion for one portrait; what depends on the portrait alone is computed once (LivePortrait, 3.2).

    Args:
        part: the trained networks.
        spec: of the motion.
        seen: the portrait.
        stitch: whether to leave the shoulders in place, so that the result can be pasted back.
    """

    def __init__(self, part: Retargeting, spec: MotionSpec, seen: Source, stitch: bool) -> None:
        assert seen.canonical is not None
        self._part, self._spec, self._stitch = part, spec, stitch
        self._canonical = seen.canonical
        self._own = spec.keypoints(seen.motion, seen.canonical)
        self._offsets = torch.zeros_like(self._own)

    @torch.inference_mode()
    def open(self, landmarks: Tensor, *, eyes: float | None = None, lips: float | None = None) -> None:
        """Open or close eyes and lips in every frame.

        The offsets are added to the moving keypoints. LivePortrait's own pipeline adds them to the portrait's in
        relative driving, by which every other motion is lost.

        Args:
            landmarks: 68 points ``(68, 2)`` of the portrait, by which its own opening is measured.
            eyes, lips: how far they shall be open, height over width; ``None`` leaves them.

        Raises:
            MediaError: when no face was found, so that its opening is unknown.
        """
        if landmarks.isnan().any():
            raise MediaError(
                "no face found whose eyes and lips could be measured. Give another portrait, or leave eyes and lips."
            )
        if eyes is not None:
            now = eye_openings(landmarks[None]).to(self._own)
            self._offsets = self._offsets + self._part.open_eyes(self._own, now, now.new_tensor([[eyes]]))
        if lips is not None:
            now = lip_opening(landmarks[None]).to(self._own)
            self._offsets = self._offsets + self._part.open_lips(self._own, now, now.new_tensor([[lips]]))

    @torch.inference_mode()
    def __call__(self, motion: Tensor) -> Tensor:
        """Motion ``(n, D)`` → motion ``(n, D)`` that puts the keypoints where they belong."""
        if not (self._stitch or self._offsets.any()):
            return motion
        points = self._spec.keypoints(motion, self._canonical) + self._offsets
        if self._stitch:
            points = self._part.stitch(self._own.expand(len(points), -1, -1), points)
        return self._spec.with_keypoints(motion, self._canonical, points)
