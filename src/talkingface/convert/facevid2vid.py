"""The unofficial face-vid2vid's checkpoint (zhanglonghao1992), with plain or SPADE decoder → our parts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkingface.convert.fill import Built, fill, refuse
from talkingface.convert.names import published_names
from talkingface.convert.volume_renderer import PLAIN, SPADE, SPECTRAL, STEM, check_keypoints, renderer_settings
from talkingface.core.component import Component
from talkingface.core.errors import WeightsError
from talkingface.core.tensors import flatten_tensors
from talkingface.motion import FaceVid2VidMotion
from talkingface.motion.pose_estimator import BLOCKS
from talkingface.renderers import FaceVid2VidRenderer, PatchDiscriminator

DETECTOR, ESTIMATOR, GENERATOR, DISCRIMINATOR = LEVELS = (
    "kp_detector.",
    "he_estimator.",
    "generator.",
    "discriminator.",
)
FILTER = f"{DETECTOR}down.weight"
FILTER_SIZE = 13  # pixels, of the one that goes with a picture at a quarter of its size


def _stages() -> list[tuple[str, str]]:
    """Their rows of bottlenecks are numbered through, and a halving one is a row of its own."""
    rules, row = [], 1
    for stage, blocks in enumerate(BLOCKS):
        rules.append((rf"^estimator\.stages\.{stage}\.0\.(conv|norm)", rf"{ESTIMATOR}\g<1>{stage + 2}"))
        if stage:
            rules.append((rf"^estimator\.stages\.{stage}\.1\.", f"{ESTIMATOR}block{row}."))
            row += 1
        first = 2 if stage else 1
        for block in range(blocks):
            ours = rf"^estimator\.stages\.{stage}\.{first + block}\."
            rules.append((ours, f"{ESTIMATOR}block{row}.b{row}_{block}."))
        row += 1
    return rules


MOTION = (
    (r"^detector\.lift", f"{DETECTOR}predictor.conv"),
    (r"^detector\.heat", f"{DETECTOR}kp"),
    (r"^detector\.(down|up)\.(\d)", rf"{DETECTOR}predictor.\1_blocks.\1\2"),
    (r"^estimator\.stem\.0", f"{ESTIMATOR}conv1"),
    (r"^estimator\.stem\.1", f"{ESTIMATOR}norm1"),
    *_stages(),
    (r"\.squeeze\.(conv|norm)", r".\g<1>1"),
    (r"(block\S*)\.conv\.0", r"\1.conv2"),
    (r"(block\S*)\.conv\.1", r"\1.norm2"),
    (r"\.expand\.0", ".conv3"),
    (r"\.expand\.1", ".norm3"),
    (r"\.skip\.0", ".skip"),
    (r"\.skip\.1", ".norm4"),
    # The published heads of yaw and roll carry each other's name: what fc_roll says is read as yaw.
    (r"^estimator\.angles\.yaw", f"{ESTIMATOR}fc_roll"),
    (r"^estimator\.angles\.roll", f"{ESTIMATOR}fc_yaw"),
    (r"^estimator\.angles\.pitch", f"{ESTIMATOR}fc_pitch"),
    (r"^estimator\.heads\.expression", f"{ESTIMATOR}fc_exp"),
    (r"^estimator\.heads\.translation", f"{ESTIMATOR}fc_t"),
)
CRITIC = (
    (r"^critics\.0\.convs\.(\d)", r"discs.1.down_blocks.\1.conv"),
    *((rf"^critics\.0\.norms\.{norm}", f"discs.1.down_blocks.{norm + 1}.norm") for norm in range(3)),
    (r"^critics\.0\.logit", "discs.1.conv"),
    (r"conv\.weight$", "conv.weight_orig"),
    *SPECTRAL,
)


def facevid2vid_parts(tree: Mapping[str, Any], origin: str) -> Built:
    """Motion encoder, renderer and, where its tensors are there, discriminator.

    Args:
        tree: the checkpoint, with its levels ``generator``, ``kp_detector``, ``he_estimator`` …
        origin: what the checkpoint is called in messages.

    Raises:
        WeightsError: for another architecture, naming what differs.
    """
    flat = {name.replace(".module.", "."): tensor for name, tensor in flatten_tensors(dict(tree)).items()}
    tensors = {name: tensor for name, tensor in flat.items() if name.startswith(LEVELS)}
    generator = {name.removeprefix(GENERATOR): tensors[name] for name in tensors if name.startswith(GENERATOR)}
    settings = renderer_settings(generator)
    check_keypoints(generator, number_of_keypoints(tensors))
    spade = f"{GENERATOR}decoder.fc.weight" in tensors
    dropped = _without_filter(tensors, origin)
    with torch.random.fork_rng(devices=[]):  # drawn only to be overwritten
        motion = FaceVid2VidMotion(**settings, keypoints=number_of_keypoints(tensors))
        renderer = FaceVid2VidRenderer(motion, **settings, decoder="spade" if spade else "plain")
    parts: dict[str, Component] = {"motion_encoder": motion, "renderer": renderer}
    rest = fill(motion, published_names(motion, MOTION), tensors, origin)
    rest = fill(renderer, published_names(renderer, SPADE if spade else PLAIN, GENERATOR), rest, origin)
    first = rest.get(f"{DISCRIMINATOR}discs.1.down_blocks.0.conv.bias")
    if first is not None:
        with torch.random.fork_rng(devices=[]):
            critic = parts["discriminator"] = PatchDiscriminator(width=len(first) / STEM)
        rest = fill(critic, published_names(critic, CRITIC, DISCRIMINATOR), rest, origin)
    refuse(rest, origin)
    ignored = tuple(name for name in flat if not name.startswith(LEVELS))
    return Built({name: part.eval() for name, part in parts.items()}, dropped, ignored)


def number_of_keypoints(tensors: Mapping[str, Tensor]) -> int:
    """Read it off the keypoint detector.

    Raises:
        WeightsError: when that is absent.
    """
    heat = tensors.get(f"{DETECTOR}kp.bias")
    if heat is None:
        raise WeightsError(f"this is no face-vid2vid: it lacks {DETECTOR}kp.bias.")
    return len(heat)


def _without_filter(tensors: dict[str, Tensor], origin: str) -> dict[str, str]:
    """Take the fixed low-pass filter out of the tensors, if it is the one that is built in."""
    kernel = tensors.pop(FILTER, None)
    if kernel is None or kernel.shape[-1] != FILTER_SIZE:
        raise WeightsError(
            f"{origin} does not fit: {FILTER} is not a filter of {FILTER_SIZE} px. Its keypoint detector does not see "
            "the picture at a quarter of its size, as in the beta version, which is not supported."
        )
    return {FILTER: "fixed low-pass filter, built in"}
