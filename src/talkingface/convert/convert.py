"""Published checkpoint → parts → model folder, with a report of what was read and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from talkingface.convert import lia
from talkingface.convert.checkpoint import Checkpoint, read_checkpoint, sort_tensors
from talkingface.core.component import Component
from talkingface.core.errors import ConfigError, WeightsError, did_you_mean, first_of
from talkingface.hub import save_model
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer


@dataclass(frozen=True)
class Family:
    """A published line of checkpoints.

    Args:
        title: what the model card calls it.
        aggregates: whether its encoder has the aggregation layer and decoupling net of AniTalker.
        licence: what the user must know before using converted weights.
    """

    title: str
    aggregates: bool
    licence: str


FAMILIES = {
    "lia": Family(
        "LIA (Wang et al. 2022)",
        aggregates=False,
        licence="The published LIA weights are licensed CC BY-NC 4.0: no commercial use; converting changes nothing.",
    ),
    "anitalker": Family(
        "AniTalker stage 1 (Liu et al. 2024)",
        aggregates=True,
        licence="AniTalker's repository carries Apache-2.0, but its image networks derive from LIA (CC BY-NC 4.0): "
        "treat converted weights as non-commercial.",
    ),
}


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Args:
        family: as it was asked for.
        folder: the model folder.
        settings: configuration of the motion encoder, read off the shapes.
        parameters: part → number of parameters.
        dropped: published tensors without effect → why they are not needed.
        ignored: tensors in the file that belong to no part (optimisers, losses).
        licence: terms of the weights.
    """

    family: str
    folder: Path
    settings: Mapping[str, Any]
    parameters: Mapping[str, int]
    dropped: Mapping[str, str]
    ignored: tuple[str, ...]
    licence: str


def convert_checkpoint(family: str, src: str | Path, dst: str | Path) -> ConversionReport:
    """Turn a published checkpoint into a model folder.

    Args:
        family: a key of :data:`FAMILIES`.
        src: ``.pt``, ``.pth``, ``.ckpt`` or ``.safetensors``; read without running anything in it.
        dst: the model folder to write.

    Raises:
        ConfigError: for an unknown family.
        WeightsError: for a file that cannot be read safely, or holds another architecture, naming what differs.
    """
    kind = _family(family)
    checkpoint = read_checkpoint(src)
    parts, dropped = _build(kind, checkpoint, str(src))
    settings = parts["motion_encoder"].config["init_args"]
    card = {
        "Origin": f"{kind.title}, converted from `{Path(src).name}`.",
        "Licence": kind.licence,
        "Settings": settings,
    }
    save_model(dst, parts, card)
    counts = {name: sum(tensor.numel() for tensor in part.parameters()) for name, part in parts.items()}
    return ConversionReport(family, Path(dst), settings, counts, dropped, checkpoint.ignored, kind.licence)


def parts_from_checkpoint(family: str, tensors: Mapping[str, Any]) -> dict[str, Component]:
    """Build parts from tensors under their published names.

    Args:
        family: a key of :data:`FAMILIES`.
        tensors: as :func:`torch.load` gives them: flat, or with levels such as ``gen`` and ``dis``.

    Returns:
        ``motion_encoder``, ``renderer`` and, where the tensors are there, ``discriminator``, in evaluation mode.

    Raises:
        ConfigError: for an unknown family.
        WeightsError: for another architecture, naming what differs.
    """
    return _build(_family(family), sort_tensors(dict(tensors)), "the checkpoint")[0]


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ConfigError(f"there is no converter for '{name}'; known: {did_you_mean(name, FAMILIES)}.")
    return FAMILIES[name]


def _build(family: Family, checkpoint: Checkpoint, origin: str) -> tuple[dict[str, Component], dict[str, str]]:
    if not checkpoint.generator:
        raise WeightsError(
            f"{origin} has no tensors of a generator (enc.…, dec.…), as {family.title} has. "
            f"It holds: {', '.join(checkpoint.ignored[:4]) or 'nothing'}."
        )
    tensors, dropped = lia.drop_without_effect(checkpoint.generator)
    settings = lia.generator_settings(tensors)
    if settings["hal"] is not family.aggregates:
        other = (
            "AniTalker's stage 1 (it has enc.net_app.ws.weights)" if settings["hal"] else "LIA (it has no such tensor)"
        )
        raise WeightsError(f"{origin} is a checkpoint of {other}, not of {family.title}. Convert it as that.")
    # Random initialisation is drawn only to be overwritten, so it must not disturb the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        motion = LatentMotion(**settings)
        renderer = LIARenderer(motion, size=settings["size"], width=settings["width"])
    channels = list(motion.image_encoder.trunk.channels.values())
    lifts = sum(count != settings["code_dim"] for count in channels)
    names = lia.encoder_names(settings["size"], lifts, settings["hal"], settings["decouple"])
    rest = _load(motion, names, tensors, origin)
    rest = _load(renderer, lia.renderer_names(settings["size"]), rest, origin)
    _refuse(rest, origin)
    parts: dict[str, Component] = {"motion_encoder": motion, "renderer": renderer}
    if checkpoint.discriminator:
        tensors, filters = lia.drop_without_effect(checkpoint.discriminator)
        dropped |= {f"dis.{name}": reason for name, reason in filters.items()}
        with torch.random.fork_rng(devices=[]):
            parts["discriminator"] = LIADiscriminator(**lia.discriminator_settings(tensors))
        names = lia.discriminator_names(lia.discriminator_settings(tensors)["size"])
        _refuse(_load(parts["discriminator"], names, tensors, origin), origin)
    return {name: part.eval() for name, part in parts.items()}, dropped


def _load(part: nn.Module, names: lia.Names, tensors: dict[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Fill a part; published axes of length 1 are dropped. Returns the tensors that are left."""
    state = part.state_dict()
    missing = [theirs for theirs in names if theirs not in tensors]
    if missing:
        raise WeightsError(f"{origin} does not fit: missing {first_of(missing)}.")
    differing = [
        f"{theirs} is {tuple(tensors[theirs].shape)}, wanted {tuple(state[ours].shape)}"
        for theirs, ours in names.items()
        if _significant(tensors[theirs]) != _significant(state[ours])
    ]
    if differing:
        raise WeightsError(f"{origin} does not fit: {first_of(differing)}.")
    part.load_state_dict({ours: tensors[theirs].float().view_as(state[ours]) for theirs, ours in names.items()})
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def _refuse(unknown: dict[str, Tensor], origin: str) -> None:
    if unknown:
        raise WeightsError(f"{origin} does not fit: unknown tensors {first_of(list(unknown))}.")


def _significant(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]
