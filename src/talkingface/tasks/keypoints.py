"""Keypoint losses: what makes implicit 3D keypoints follow a face (face-vid2vid, A.2; Takin-ADA, section 3.1)."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from talkingface.core.errors import ConfigError
from talkingface.core.geometry import rotation
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.keypoints import facevid2vid_euler
from talkingface.core.records import PairBatch, Source
from talkingface.losses import (
    Hopenet,
    LandmarkGuide,
    Warp,
    canonical_loss,
    deformation_prior,
    equivariance_loss,
    head_pose_loss,
    keypoint_prior,
)
from talkingface.tasks.labels import landmarks_for

KEYPOINT_LOSSES = ("equivariance", "keypoint_prior", "head_pose", "deformation", "canonical", "landmark")


@dataclass(frozen=True)
class Sight:
    """What the motion encoder sees in the pictures of one step.

    Args:
        motion: of the driving picture ``(B, D)``.
        canonical: keypoints ``(B, K, 3)`` of other pictures of the source's person, where they are compared.
        warp: what was done to the driving picture, and ``warped`` the motion that was found then, where the keypoints
            are to follow it.
    """

    motion: Tensor
    canonical: list[Tensor]
    warp: Warp | None = None
    warped: Tensor | None = None


class KeypointLosses(nn.Module):
    """Losses on the keypoints of the driving picture, placed from the source's canonical ones as they are rendered.

    Args:
        motion_encoder: finds canonical keypoints and their motion.
        teacher: frozen network whose head pose is learned, in the angles of its own convention as published; without
            one the head pose of the batch is, in the convention of the motion encoder.
        guide: which keypoints follow which landmarks; needed when ``landmark`` has a weight.
        ramp: steps over which the canonical loss comes to count in full, so that head pose settles first.

    Raises:
        ConfigError: when the motion encoder places no keypoints or lacks a guided one.
    """

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        teacher: Hopenet | None = None,
        guide: LandmarkGuide | None = None,
        ramp: int = 0,
    ) -> None:
        super().__init__()
        if motion_encoder.spec.convention is None:
            raise ConfigError(
                f"keypoint losses need a motion that places keypoints, and {type(motion_encoder).__name__} has none. "
                "Take LivePortraitMotion or FaceVid2VidMotion."
            )
        if guide is not None:
            guide.check_keypoints(motion_encoder.spec.num_keypoints)
        self._wired = (motion_encoder,)  # in a tuple it is no submodule: its weights are not the losses'
        self.teacher = teacher
        self.guide = guide
        self.ramp_steps = ramp

    def check(self, names: Collection[str]) -> None:
        """Refuse a landmark loss that nobody has told which keypoint follows which landmark.

        Args:
            names: of the losses that have a weight.

        Raises:
            ConfigError: naming the setting.
        """
        if "landmark" in names and self.guide is None:
            raise ConfigError("landmark has a weight, but 'keypoints' has no 'guide'. Give one, or weight 0.")

    def look(self, batch: PairBatch, names: Collection[str], step: int) -> Sight:
        """See all pictures of a step but the source, in one pass.

        Args:
            batch: a ``positive`` in it is a third picture of the person, for the canonical loss.
            names: of the losses that have a weight.
            step: seed of the warp.
        """
        (encoder,) = self._wired
        driving, warp = batch["driving"], None
        pictures = {"driving": driving}
        if "equivariance" in names:
            warp = Warp.draw(driving, torch.Generator().manual_seed(step))  # a resumed run must draw the same
            pictures["warped"] = warp.image(driving)
        if "canonical" not in names:
            motion = _parts(pictures, encoder(torch.cat([*pictures.values()])))
            return Sight(motion["driving"], [], warp, motion.get("warped"))
        if "positive" in batch:
            pictures["positive"] = batch["positive"]
        found = encoder.describe(torch.cat([*pictures.values()]))
        motion, canonical = (_parts(pictures, tensor) for tensor in found)
        others = [canonical[name] for name in ("driving", "positive") if name in canonical]
        return Sight(motion["driving"], others, warp, motion.get("warped"))

    def forward(self, sight: Sight, source: Source, batch: PairBatch, names: Collection[str]) -> dict[str, Tensor]:
        """The terms of one step, by name; only those that have a weight.

        Args:
            sight: of :meth:`look`.
            source: what the renderer found in the source picture.
            batch: whose labels count.
            names: of the losses that have a weight.

        Raises:
            ConfigError: when the data gives no landmarks or head pose to learn from.
        """
        (encoder,) = self._wired
        with torch.autocast(sight.motion.device.type, enabled=False):  # tiny, and a pixel is less than bfloat16 shows
            motion = sight.motion.float()
            canonical = (encoder.canonical(batch["source"]) if source.canonical is None else source.canonical).float()
            points = encoder.spec.keypoints(motion, canonical)
            parts = encoder.spec.unpack(motion)
            terms = {}
            if sight.warp is not None and sight.warped is not None:
                moved = encoder.spec.keypoints(sight.warped.float(), canonical)
                terms["equivariance"] = equivariance_loss(points, moved, sight.warp)
            if "keypoint_prior" in names:
                terms["keypoint_prior"] = keypoint_prior(points)
            if "head_pose" in names:
                terms["head_pose"] = head_pose_loss(parts["pose"], self._taught_pose(batch))
            if "deformation" in names:
                terms["deformation"] = deformation_prior(parts["expression"])
            if sight.canonical:
                pairs = [canonical_loss(canonical, other.float()) for other in sight.canonical]
                terms["canonical"] = torch.stack(pairs).mean()
            if "landmark" in names:
                source_points = encoder.spec.keypoints(source.motion.float(), canonical)
                terms["landmark"] = self._landmark_loss(source_points, points, batch)
        return terms

    def ramp(self, step: int) -> float:
        """How much the canonical loss counts, in ``[0, 1]``."""
        return min(1.0, (step + 1) / (self.ramp_steps + 1))

    def _taught_pose(self, batch: PairBatch) -> Tensor:
        if self.teacher is not None:
            pose: Tensor = self.teacher(batch["driving"])
            return pose
        if "pose" not in batch:
            raise ConfigError(
                "head_pose has a weight, and neither the data nor a teacher knows the head pose. Set "
                "--model.keypoints.teacher talkingface.losses.Hopenet, or weight 0."
            )
        pose = batch["pose"][:, 1].float()
        if self._wired[0].spec.convention == "facevid2vid":
            return facevid2vid_euler(rotation(pose))
        return pose  # LivePortrait's angles are ours

    def _landmark_loss(self, source: Tensor, driving: Tensor, batch: PairBatch) -> Tensor:
        assert self.guide is not None, "check() has refused this before"
        landmarks = landmarks_for("landmark", batch)
        return torch.stack([self.guide(source, landmarks[:, 0]), self.guide(driving, landmarks[:, 1])]).mean()


def _parts(pictures: dict[str, Tensor], found: Tensor) -> dict[str, Tensor]:
    """What was found in pictures that were seen together, by their names."""
    return dict(zip(pictures, found.chunk(len(pictures)), strict=True))
