"""Names and shapes of the published LIA generator and discriminator, and of AniTalker's stage 1, which extends it."""

import math
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from talkingface.core.errors import WeightsError
from talkingface.core.nn.fir import TAPS
from talkingface.core.nn.lia_trunk import FULL_CHANNELS, SIZES

# Tensors of the published layout that change nothing, so that our parts do not have them.
WITHOUT_EFFECT = {
    r".*\.kernel": "fixed low-pass filter, checked and built in",
    r"dec\.(conv1|convs\.\d+)\.noise\.weight": "strength of a noise that the published code never adds",
    r"dec\.to_rgb1\..*": "layer that the published code never calls",
}

Names = dict[str, str]  # published name → ours


def drop_without_effect(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Part the tensors that compute something from those that do not.

    Args:
        tensors: published name → tensor.

    Returns:
        The effective tensors, and dropped name → reason.

    Raises:
        WeightsError: when a stored filter is not [1, 3, 3, 1], which is built into our layers.
    """
    kept, dropped = {}, {}
    for name, tensor in tensors.items():
        reason = next((why for pattern, why in WITHOUT_EFFECT.items() if re.fullmatch(pattern, name)), None)
        if reason is None:
            kept[name] = tensor
            continue
        dropped[name] = reason
        if name.endswith(".kernel"):
            _check_filter(name, tensor)
    return kept, dropped


def _check_filter(name: str, kernel: Tensor) -> None:
    wanted = torch.outer(TAPS, TAPS)
    if kernel.shape != wanted.shape or not torch.allclose(kernel / kernel.sum(), wanted, atol=1e-6):
        raise WeightsError(f"{name} is another filter than [1, 3, 3, 1]; this is not a published LIA network.")


def generator_settings(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Read the configuration of the motion encoder off the shapes.

    Args:
        tensors: published name → tensor of the generator.

    Returns:
        Keyword arguments of :class:`~talkingface.motion.LatentMotion`.

    Raises:
        WeightsError: when the tensors that tell it are absent or of impossible shape.
    """
    size = _size(tensors, "enc.net_app.", levels_missing=0)
    directions = tensors.get("dec.direction.weight")
    code = tensors.get(f"enc.net_app.convs.{int(math.log2(size)) - 1}.weight")
    if directions is None or directions.ndim != 2 or code is None or code.ndim != 4:
        raise WeightsError(
            "this is no generator of LIA or AniTalker: it lacks dec.direction.weight or the last layer of "
            f"enc.net_app.convs. Its tensors: {_some(tensors)}."
        )
    return {
        "dim": directions.shape[1],
        "size": size,
        "width": _width(tensors, "enc.net_app.", size),
        "code_dim": code.shape[0],
        "hal": "enc.net_app.ws.weights" in tensors,
        "decouple": any(name.startswith("enc.net_decouping.") for name in tensors),
        "projector": "lmd",
    }


def discriminator_settings(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Read the configuration of the discriminator off the shapes.

    Args:
        tensors: published name → tensor.

    Returns:
        Keyword arguments of :class:`~talkingface.renderers.LIADiscriminator`.

    Raises:
        WeightsError: when the tensors that tell it are absent.
    """
    size = _size(tensors, "", levels_missing=1)  # its trunk ends at 4 px, without the code
    return {"size": size, "width": _width(tensors, "", size)}


def _size(tensors: Iterable[str], prefix: str, levels_missing: int) -> int:
    """Side of the picture in pixels: every stage but the first halves it, down to 4 px and then to the code."""
    found = [re.match(re.escape(prefix) + r"convs\.(\d+)\.", name) for name in tensors]
    stages = 1 + max((int(match[1]) for match in found if match), default=-1)
    size: int = 2 ** (stages + levels_missing)
    if size not in SIZES:
        raise WeightsError(
            f"this is no trunk of LIA for 64 to 512 px: found {stages} stages {prefix}convs. Its tensors: "
            f"{_some(tensors)}."
        )
    return size


def _width(tensors: dict[str, Tensor], prefix: str, size: int) -> float:
    """The finest stage tells the width: no other depends on it alone."""
    stem = tensors.get(f"{prefix}convs.0.0.weight")
    if stem is None or stem.ndim != 4:
        raise WeightsError(f"this is no trunk of LIA: {prefix}convs.0.0.weight is missing or has another shape.")
    return stem.shape[0] / FULL_CHANNELS[size]


def _some(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:4]) + ", …"


def encoder_names(size: int, lifts: int, hal: bool, decouple: bool) -> Names:
    """Published name → name in :class:`~talkingface.motion.LatentMotion`.

    Args:
        size: side of the picture in pixels.
        lifts: stages that hierarchical aggregation lifts to the width of the code.
        hal: whether there is hierarchical aggregation.
        decouple: whether there is a decoupling net.
    """
    stages = int(math.log2(size))
    app, ours = "enc.net_app.", "image_encoder."
    names = _trunk_names(app, ours, stages - 1)
    names[f"{app}convs.{stages - 1}.weight"] = f"{ours}to_code.weight"
    for layer in range(5):
        names |= _affine(f"enc.fc.{layer}", f"projector.reduce.{layer}")
    names["dec.direction.weight"] = "projector.directions"
    if hal:
        names[f"{app}ws.weights"] = f"{ours}hal.weights"
        for stage in range(lifts):
            names |= _affine(f"{app}fc{stage + 1}", f"{ours}hal.lifts.{stage}")
    if decouple:
        for theirs, head in (("identity_net", "identity"), ("identity_net_density", "density")):
            names |= _mlp(f"enc.net_decouping.{theirs}", f"decoupling.{head}")
        names |= _mlp("enc.net_decouping.identity_excluded_net", "decoupling.motion")
    return names


def renderer_names(size: int) -> Names:
    """Published name → name in :class:`~talkingface.renderers.LIARenderer`.

    Args:
        size: side of the picture in pixels.
    """
    names = {"dec.input.input": "constant", **_styled("dec.conv1", "first")}
    for level in range(int(math.log2(size)) - 2):
        ours = f"levels.{level}"
        names |= _styled(f"dec.convs.{2 * level}", f"{ours}.up")
        names |= _styled(f"dec.convs.{2 * level + 1}", f"{ours}.conv")
        flow, rgb = f"dec.to_flows.{level}", f"dec.to_rgbs.{level}"
        names |= {f"{flow}.conv.weight": f"{ours}.to_flow.weight", f"{flow}.bias": f"{ours}.to_flow.bias"}
        names |= _affine(f"{flow}.conv.modulation", f"{ours}.to_flow.modulation")
        names[f"{rgb}.conv.0.weight"] = f"{ours}.to_rgb.conv.weight"
        names |= {f"{rgb}.conv.1.bias": f"{ours}.to_rgb.inner_bias", f"{rgb}.bias": f"{ours}.to_rgb.bias"}
    return names


def discriminator_names(size: int) -> Names:
    """Published name → name in :class:`~talkingface.renderers.LIADiscriminator`.

    Args:
        size: side of the picture in pixels.
    """
    names = _trunk_names("", "", int(math.log2(size)) - 1)
    names |= {"final_conv.0.weight": "conv.weight", "final_conv.1.bias": "conv.bias"}
    return names | _affine("final_linear.0", "hidden") | _affine("final_linear.1", "logit")


def _trunk_names(theirs: str, ours: str, stages: int) -> Names:
    names = {
        f"{theirs}convs.0.0.weight": f"{ours}trunk.stem.weight",
        f"{theirs}convs.0.1.bias": f"{ours}trunk.stem.bias",
    }
    layers = {
        "conv1.0.weight": "conv1.weight",
        "conv1.1.bias": "conv1.bias",
        "conv2.1.weight": "conv2.weight",
        "conv2.2.bias": "conv2.bias",
        "skip.1.weight": "skip.weight",
    }
    for stage in range(1, stages):
        names |= {f"{theirs}convs.{stage}.{a}": f"{ours}trunk.blocks.{stage - 1}.{b}" for a, b in layers.items()}
    return names


def _affine(theirs: str, ours: str) -> Names:
    return {f"{theirs}.{last}": f"{ours}.{last}" for last in ("weight", "bias")}


def _mlp(theirs: str, ours: str) -> Names:
    return _affine(f"{theirs}.0", f"{ours}.0") | _affine(f"{theirs}.2", f"{ours}.2")


def _styled(theirs: str, ours: str) -> Names:
    names = {f"{theirs}.conv.weight": f"{ours}.weight", f"{theirs}.activate.bias": f"{ours}.bias"}
    return names | _affine(f"{theirs}.conv.modulation", f"{ours}.modulation")
