"""Published checkpoint → model folder, with a report of what was read and what was left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from talkingface.convert.build import anitalker_parts, lia_parts, talking_parts
from talkingface.convert.checkpoint import read_tree
from talkingface.convert.controltalk import audio2exp_parts
from talkingface.convert.facevid2vid import facevid2vid_parts
from talkingface.convert.fill import Built, Parts, Talking
from talkingface.convert.liveportrait import liveportrait_parts
from talkingface.convert.wav2lip import sync_expert_parts
from talkingface.core.errors import ConfigError, WeightsError, did_you_mean
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.tensors import flatten_tensors, read_tensors
from talkingface.hub import load_model, save_model

ANITALKER_LICENCE = (
    "AniTalker's repository carries Apache-2.0, but its image networks derive from LIA (CC BY-NC 4.0): "
    "treat converted weights as non-commercial."
)


@dataclass(frozen=True)
class Family:
    """A published line of checkpoints.

    Args:
        title: what the model card calls it.
        licence: what the user must know before using converted weights.
        build: makes parts of tensors under their published names; for a stage 2, those of its stage 1.
        talk: for a stage 2, which makes motion from speech for one stage 1: makes its parts.
    """

    title: str
    licence: str
    build: Callable[[Mapping[str, Any], str], Built]
    talk: Callable[[dict[str, Tensor], MotionEncoder, str], Talking] | None = None


FAMILIES = {
    "lia": Family(
        "LIA (Wang et al. 2022)",
        "The published LIA weights are licensed CC BY-NC 4.0: no commercial use; converting changes nothing.",
        lia_parts,
    ),
    "anitalker": Family("AniTalker stage 1 (Liu et al. 2024)", ANITALKER_LICENCE, anitalker_parts),
    "anitalker-stage2": Family(
        "AniTalker stage 2 (Liu et al. 2024)", ANITALKER_LICENCE, anitalker_parts, talk=talking_parts
    ),
    "liveportrait": Family(
        "LivePortrait (Guo et al. 2024)",
        "LivePortrait's code and weights are under the MIT licence; the face detector that its authors crop with is "
        "for non-commercial use only.",
        liveportrait_parts,
    ),
    "facevid2vid": Family(
        "face-vid2vid (Wang et al. 2021), unofficial implementation by zhanglonghao1992",
        "The unofficial face-vid2vid is licensed CC BY-NC 4.0: no commercial use; converting changes nothing.",
        facevid2vid_parts,
    ),
    "controltalk": Family(
        "ControlTalk (Zhao et al. 2024)",
        "ControlTalk's repository carries the MIT licence, but its renderer is the unofficial face-vid2vid (CC BY-NC "
        "4.0): treat converted weights as non-commercial.",
        facevid2vid_parts,
        talk=audio2exp_parts,
    ),
    "wav2lip-expert": Family(
        "Wav2Lip's expert of lip synchrony (Prajwal et al. 2020)",
        "Wav2Lip's code and weights are for research and other non-commercial use only; converting changes nothing.",
        sync_expert_parts,
    ),
}


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Args:
        family: as it was asked for.
        folder: the model folder.
        settings: configuration that was read off the shapes: of the motion encoder, of the motion generator, or of the
            only part.
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


def convert_checkpoint(
    family: str, src: str | Path, dst: str | Path, stage1: str | Path | None = None
) -> ConversionReport:
    """Turn a published checkpoint into a model folder.

    Args:
        family: a key of :data:`FAMILIES`.
        src: ``.pt``, ``.pth``, ``.ckpt`` or ``.safetensors``, or a folder of such files as LivePortrait has; read
            without running anything in it.
        dst: the model folder to write.
        stage1: for a stage 2, what it was trained on: the published checkpoint of stage 1, or its model folder.

    Raises:
        ConfigError: for an unknown family, and when ``stage1`` is missing or superfluous.
        WeightsError: for a file that cannot be read safely, or holds another architecture, naming what differs.
    """
    kind = _family(family)
    if (stage1 is None) == (kind.talk is not None):
        needed = "needs the stage 1 that it was trained on" if kind.talk else "takes no stage 1"
        raise ConfigError(f"{kind.title} {needed} (--stage1 CHECKPOINT_OR_MODEL).")
    card: dict[str, Any] = {"Origin": f"{kind.title}, converted from `{Path(src).name}`.", "Licence": kind.licence}
    if kind.talk is None or stage1 is None:
        built = kind.build(read_tree(src), str(src))
        parts, dropped, ignored, main = built.parts, built.dropped, built.ignored, next(iter(built.parts))
    else:
        parts = _first_stage(stage1, kind)
        motion = cast(MotionEncoder, parts["motion_encoder"])
        talking = kind.talk(flatten_tensors(read_tensors(src)), motion, str(src))
        parts |= talking.parts
        dropped, ignored, main = talking.dropped, talking.ignored, "motion_generator"
        card["Origin"] += f" It is {talking.variant}; pictures are made by `{Path(stage1).name}`."
    settings = parts[main].config["init_args"]
    save_model(dst, parts, card | {"Settings": settings})
    counts = {name: sum(tensor.numel() for tensor in part.parameters()) for name, part in parts.items()}
    return ConversionReport(family, Path(dst), settings, counts, dropped, ignored, kind.licence)


def parts_from_checkpoint(
    family: str, tensors: Mapping[str, Any], motion_encoder: MotionEncoder | None = None
) -> Parts:
    """Build parts from tensors under their published names.

    Args:
        family: a key of :data:`FAMILIES`.
        tensors: as :func:`torch.load` gives them: flat, or with levels such as ``gen`` and ``dis``.
        motion_encoder: for a stage 2, that of its stage 1.

    Returns:
        ``motion_encoder``, ``renderer`` and, where the tensors are there, ``discriminator`` and ``retargeting``; for a
        stage 2 ``audio_encoder`` and ``motion_generator``; of Wav2Lip ``sync_expert``; in evaluation mode.

    Raises:
        ConfigError: for an unknown family, and when the motion encoder is missing or superfluous.
        WeightsError: for another architecture, naming what differs.
    """
    kind = _family(family)
    if (motion_encoder is None) == (kind.talk is not None):
        raise ConfigError(f"{kind.title} {'needs a' if kind.talk else 'takes no'} motion encoder of a stage 1.")
    if kind.talk is None or motion_encoder is None:
        return kind.build(tensors, "the checkpoint").parts
    return kind.talk(flatten_tensors(dict(tensors)), motion_encoder, "the checkpoint").parts


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ConfigError(f"there is no converter for '{name}'; known: {did_you_mean(name, FAMILIES)}.")
    return FAMILIES[name]


def _first_stage(origin: str | Path, kind: Family) -> Parts:
    """Motion encoder and renderer, from a published checkpoint or from a model folder."""
    found = kind.build(read_tree(origin), str(origin)).parts if Path(origin).is_file() else load_model(origin)
    missing = [name for name in ("motion_encoder", "renderer") if name not in found]
    if missing:
        raise WeightsError(f"{origin} has no {' and no '.join(missing)}; give the stage 1 that makes the pictures.")
    return {name: found[name] for name in ("motion_encoder", "renderer")}
