"""Tensors under published names → our parts, filled exactly."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkingface.audio import HubertSpeech, MFCCSpeech
from talkingface.convert import anitalker_stage2 as stage2
from talkingface.convert import lia
from talkingface.convert.checkpoint import Checkpoint, sort_tensors
from talkingface.convert.fill import Built, Parts, Talking, fill, refuse
from talkingface.core.errors import WeightsError
from talkingface.core.interfaces import AudioEncoder, MotionEncoder
from talkingface.generators import ConformerDiffusion, MotionRange
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer


def lia_parts(tree: Mapping[str, Any], origin: str) -> Built:
    """Motion encoder, renderer and, where its tensors are there, discriminator of LIA.

    Args:
        tree: tensors, with or without levels such as ``gen`` and ``dis``.
        origin: what the checkpoint is called in messages.

    Raises:
        WeightsError: for another architecture, naming what differs; the same below.
    """
    return _image_parts("LIA", False, sort_tensors(dict(tree)), origin)


def anitalker_parts(tree: Mapping[str, Any], origin: str) -> Built:
    """The same of AniTalker's stage 1, whose encoder has an aggregation layer and a decoupling net."""
    return _image_parts("AniTalker's stage 1", True, sort_tensors(dict(tree)), origin)


def _image_parts(title: str, aggregates: bool, checkpoint: Checkpoint, origin: str) -> Built:
    if not checkpoint.generator:
        raise WeightsError(
            f"{origin} has no tensors of a generator (enc.…, dec.…), as {title} has. "
            f"It holds: {', '.join(checkpoint.ignored[:4]) or 'nothing'}."
        )
    tensors, dropped = lia.drop_without_effect(checkpoint.generator)
    settings = lia.generator_settings(tensors)
    if settings["hal"] is not aggregates:
        other = (
            "AniTalker's stage 1 (it has enc.net_app.ws.weights)" if settings["hal"] else "LIA (it has no such tensor)"
        )
        raise WeightsError(f"{origin} is a checkpoint of {other}, not of {title}. Convert it as that.")
    # Random initialisation is drawn only to be overwritten, so it must not disturb the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        motion = LatentMotion(**settings)
        renderer = LIARenderer(motion, size=settings["size"], width=settings["width"])
    channels = list(motion.image_encoder.trunk.channels.values())
    lifts = sum(count != settings["code_dim"] for count in channels)
    names = lia.encoder_names(settings["size"], lifts, settings["hal"], settings["decouple"])
    rest = fill(motion, names, tensors, origin)
    rest = fill(renderer, lia.renderer_names(settings["size"]), rest, origin)
    refuse(rest, origin)
    parts: Parts = {"motion_encoder": motion, "renderer": renderer}
    if checkpoint.discriminator:
        tensors, filters = lia.drop_without_effect(checkpoint.discriminator)
        dropped |= {f"dis.{name}": reason for name, reason in filters.items()}
        with torch.random.fork_rng(devices=[]):
            parts["discriminator"] = LIADiscriminator(**lia.discriminator_settings(tensors))
        names = lia.discriminator_names(lia.discriminator_settings(tensors)["size"])
        refuse(fill(parts["discriminator"], names, tensors, origin), origin)
    return Built({name: part.eval() for name, part in parts.items()}, dropped, checkpoint.ignored)


def talking_parts(tensors: dict[str, Tensor], motion: MotionEncoder, origin: str) -> Talking:
    """Audio encoder and motion generator of AniTalker's stage 2.

    Args:
        tensors: of the checkpoint.
        motion: the motion encoder of its stage 1.
        origin: what the checkpoint is called in messages.
    """
    averages, dropped = stage2.averaged_weights(tensors)
    found = stage2.variant(averages)
    with torch.random.fork_rng(devices=[]):
        audio: AudioEncoder = (HubertSpeech if found.audio == "hubert" else MFCCSpeech)(**found.audio_settings)
        generator = ConformerDiffusion(motion, audio, **found.generator_settings)
    rest = fill(audio, stage2.audio_names(found.audio, found.audio_settings.get("blocks", 0)), averages, origin)
    names = stage2.generator_names(found.generator_settings["attributes"], found.generator_settings["blocks"])
    refuse(fill(generator, names, rest, origin), origin)
    for module in generator.modules():
        if isinstance(module, MotionRange):
            module.known.fill_(True)  # trained on codes and controls as they are
    parts: Parts = {"audio_encoder": audio.eval(), "motion_generator": generator.eval()}
    return Talking(parts, dropped, variant=f"the variant {found.name}")
