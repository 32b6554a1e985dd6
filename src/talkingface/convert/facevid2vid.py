"""Names and shapes of the unofficial face-vid2vid (zhanglonghao1992), plain and with SPADE decoder."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from talkingface.convert.liveportrait import Names, affine
from talkingface.core.errors import WeightsError
from talkingface.motion.keypoint_detector import COARSEST, SCALE, STEM
from talkingface.motion.pose_estimator import BLOCKS

DETECTOR, ESTIMATOR = "kp_detector.", "he_estimator."  # levels of a checkpoint
# The published heads of yaw and roll carry each other's name: what fc_roll says is read as yaw.
HEADS = {"fc_roll": "angles.yaw", "fc_pitch": "angles.pitch", "fc_yaw": "angles.roll"}
HEADS |= {"fc_exp": "heads.expression", "fc_t": "heads.translation"}
WITHOUT_EFFECT = {f"{DETECTOR}down.weight": "fixed low-pass filter, built in"}


def motion_settings(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the configuration of the motion encoder off the shapes.

    Args:
        tensors: published name → tensor.

    Returns:
        Keyword arguments of :class:`~talkingface.motion.FaceVid2VidMotion`.

    Raises:
        WeightsError: when the tensors that tell it are absent.
    """
    heat, stem, lift = (
        tensors.get(f"{DETECTOR}{name}")
        for name in ("kp.bias", "predictor.down_blocks.down0.norm.weight", "predictor.conv.weight")
    )
    if heat is None or stem is None or lift is None or lift.ndim != 4:
        raise WeightsError("this is no face-vid2vid: it lacks kp_detector.kp, or its first or middle layer.")
    levels = sum(
        name.startswith(f"{DETECTOR}predictor.down_blocks.") and name.endswith("conv.bias") for name in tensors
    )
    return {
        "keypoints": len(heat),
        "size": round(COARSEST / SCALE * 2**levels),
        "width": len(stem) / STEM,
        "depth": lift.shape[0] // lift.shape[1],
    }


def motion_names(size: int) -> Names:
    """Published name → name in :class:`~talkingface.motion.FaceVid2VidMotion`.

    Args:
        size: side of the picture in pixels.
    """
    predictor = f"{DETECTOR}predictor."
    names = affine(f"{predictor}conv", "detector.lift") | affine(f"{DETECTOR}kp", "detector.heat")
    for level in range(round(math.log2(size * SCALE / COARSEST))):
        for way in ("down", "up"):
            names |= normed(f"{predictor}{way}_blocks.{way}{level}.", "conv", "norm", f"detector.{way}.{level}")
    for head, ours in HEADS.items():
        names |= affine(f"{ESTIMATOR}{head}", f"estimator.{ours}")
    names |= affine(f"{ESTIMATOR}conv1", "estimator.stem.0") | batch_norm(f"{ESTIMATOR}norm1", "estimator.stem.1")
    number = 1  # of their rows of blocks
    for stage, blocks in enumerate(BLOCKS):
        ours = f"estimator.stages.{stage}"
        names |= normed(ESTIMATOR, f"conv{stage + 2}", f"norm{stage + 2}", f"{ours}.0")
        if stage:
            names |= _bottleneck(f"{ESTIMATOR}block{number}.", f"{ours}.1")
            names |= affine(f"{ESTIMATOR}block{number}.skip", f"{ours}.1.skip.0")
            names |= batch_norm(f"{ESTIMATOR}block{number}.norm4", f"{ours}.1.skip.1")
            number += 1
        for block in range(blocks):
            names |= _bottleneck(
                f"{ESTIMATOR}block{number}.b{number}_{block}.", f"{ours}.{block + (2 if stage else 1)}"
            )
        number += 1
    return names


def normed(prefix: str, convolution: str, norm: str, ours: str) -> Names:
    """A convolution and its batch norm, ours in one :class:`~talkingface.core.nn.volume.ConvBlock`."""
    return affine(f"{prefix}{convolution}", f"{ours}.conv") | batch_norm(f"{prefix}{norm}", f"{ours}.norm")


def batch_norm(theirs: str, ours: str) -> Names:
    """Weight, bias and statistics of a batch norm."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return affine(theirs, ours) | {f"{theirs}.{last}": f"{ours}.{last}" for last in statistics}


def _bottleneck(theirs: str, ours: str) -> Names:
    names = normed(theirs, "conv1", "norm1", f"{ours}.squeeze")
    for number, layer in ((2, "conv"), (3, "expand")):
        names |= affine(f"{theirs}conv{number}", f"{ours}.{layer}.0")
        names |= batch_norm(f"{theirs}norm{number}", f"{ours}.{layer}.1")
    return names
