"""LivePortrait's published modules → our parts (Guo et al. 2024)."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkingface.convert.fill import Built, fill, refuse
from talkingface.convert.names import published_names
from talkingface.convert.volume_renderer import SPADE, check_keypoints, renderer_settings
from talkingface.core.component import Component
from talkingface.core.errors import WeightsError
from talkingface.core.tensors import flatten_tensors
from talkingface.motion import LivePortraitMotion, Retargeting
from talkingface.motion.convnext import CHANNELS
from talkingface.renderers import FaceVid2VidRenderer

# How names begin inside of the published modules; no two modules share a name.
ROOTS = re.compile(
    r"(?:^|\.)((?:first|second|down_blocks|resblocks_3d|dense_motion_network|third|fourth|fc|G_middle_\d|up_\d|conv_img|"
    r"detector|retarget_\w+)\..*)"
)
MOTION = (
    (r"^trunk\.downsample", "downsample_layers"),
    (r"^trunk\.", ""),
    (r"\.depthwise\.", ".dwconv."),
    (r"\.expand\.", ".pwconv1."),
    (r"\.reduce\.", ".pwconv2."),
    (r"\.response\.", ".grn."),
    (r"^angles\.", "fc_"),
    (r"^heads\.canonical", "fc_kp"),
    (r"^heads\.expression", "fc_exp"),
    (r"^heads\.translation", "fc_t"),
    (r"^heads\.scale", "fc_scale"),
    (r"^", "detector."),
)
# The decoder is a module of its own, with a pixel shuffle behind its last layer.
RENDERER = (*SPADE, (r"^decoder\.conv_img", "decoder.conv_img.0"), (r"^decoder\.", ""))
RETARGETING = (
    (r"^stitching", "retarget_shoulder.mlp"),
    (r"^eyes", "retarget_eye.mlp"),
    (r"^lips", "retarget_mouth.mlp"),
)


def liveportrait_parts(tree: Mapping[str, Any], origin: str) -> Built:
    """Motion encoder, renderer and, where its tensors are there, stitching and retargeting.

    Args:
        tree: one file of all modules, or file → its content.
        origin: what the checkpoint is called in messages.

    Raises:
        WeightsError: for another architecture, naming what differs.
    """
    tensors = module_tensors(tree)
    settings = renderer_settings(tensors)
    with torch.random.fork_rng(devices=[]):  # drawn only to be overwritten
        motion = LivePortraitMotion(**motion_settings(tensors), size=settings["size"])
        check_keypoints(tensors, motion.spec.num_keypoints)
        renderer = FaceVid2VidRenderer(motion, **settings, output=2 * settings["size"])
        retargeting = Retargeting(keypoints=motion.spec.num_keypoints)
    parts: dict[str, Component] = {"motion_encoder": motion, "renderer": renderer}
    rest = fill(motion, published_names(motion, MOTION), tensors, origin)
    rest = fill(renderer, published_names(renderer, RENDERER), rest, origin)
    if any(name.startswith("retarget_") for name in rest):
        parts["retargeting"] = retargeting
        rest = fill(retargeting, published_names(retargeting, RETARGETING), rest, origin)
    refuse(rest, origin)
    return Built({name: part.eval() for name, part in parts.items()})


def module_tensors(tree: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors under the names that they have inside of their module.

    Args:
        tree: nested or not, with or without the levels that training code puts around names.

    Raises:
        WeightsError: when a name is there twice, as where a folder holds two models.

    >>> list(module_tensors({"retarget_eye": {"module.mlp.0.bias": torch.zeros(1)}}))
    ['retarget_eye.mlp.0.bias']
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in flatten_tensors(dict(tree)).items():
        found = ROOTS.search(re.sub(r"(^|\.)module\.", r"\1", name))
        inside = found[1] if found else name
        if inside in tensors:
            raise WeightsError(f"{inside} is there twice; give the folder of one LivePortrait model.")
        tensors[inside] = tensor
    return tensors


def motion_settings(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the number of keypoints and the width of the motion extractor off the shapes.

    Args:
        tensors: published name → tensor.

    Raises:
        WeightsError: when the tensors that tell them are absent.
    """
    canonical, stem = (tensors.get(f"detector.{name}") for name in ("fc_kp.bias", "downsample_layers.0.0.bias"))
    if canonical is None or stem is None:
        raise WeightsError("this is no motion extractor of LivePortrait: it lacks detector.fc_kp or its first layer.")
    return {"keypoints": len(canonical) // 3, "width": len(stem) / CHANNELS[0]}
