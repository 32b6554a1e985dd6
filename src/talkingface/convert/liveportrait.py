"""Names and shapes of LivePortrait's published modules (Guo et al. 2024)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from talkingface.core.errors import WeightsError
from talkingface.motion.convnext import CHANNELS, DEPTHS

Names = dict[str, str]  # published name → ours

BLOCK = {"dwconv": "depthwise", "norm": "norm", "pwconv1": "expand", "pwconv2": "reduce"}
HEADS = {"fc_kp": "heads.canonical", "fc_exp": "heads.expression", "fc_t": "heads.translation"}
HEADS |= {"fc_scale": "heads.scale", "fc_yaw": "angles.yaw", "fc_pitch": "angles.pitch", "fc_roll": "angles.roll"}


def motion_settings(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the configuration of the motion extractor off the shapes.

    Args:
        tensors: published name → tensor.

    Returns:
        Keyword arguments of :class:`~talkingface.motion.LivePortraitMotion`.

    Raises:
        WeightsError: when the tensors that tell it are absent.
    """
    canonical, stem = (tensors.get(f"detector.{name}") for name in ("fc_kp.bias", "downsample_layers.0.0.bias"))
    if canonical is None or stem is None:
        raise WeightsError("this is no motion extractor of LivePortrait: it lacks detector.fc_kp or its first layer.")
    return {"keypoints": len(canonical) // 3, "width": len(stem) / CHANNELS[0]}


def motion_names() -> Names:
    """Published name → name in :class:`~talkingface.motion.LivePortraitMotion`."""
    names = affine("detector.norm", "norm")
    for head, ours in HEADS.items():
        names |= affine(f"detector.{head}", ours)
    for stage, depth in enumerate(DEPTHS):
        for layer in range(2):
            names |= affine(f"detector.downsample_layers.{stage}.{layer}", f"trunk.downsample.{stage}.{layer}")
        for block in range(depth):
            theirs, ours = f"detector.stages.{stage}.{block}", f"trunk.stages.{stage}.{block}"
            for part, name in BLOCK.items():
                names |= affine(f"{theirs}.{part}", f"{ours}.{name}")
            names |= {f"{theirs}.grn.{part}": f"{ours}.response.{part}" for part in ("gamma", "beta")}
    return names


def affine(theirs: str, ours: str) -> Names:
    """Weight and bias of a layer."""
    return {f"{theirs}.{last}": f"{ours}.{last}" for last in ("weight", "bias")}
