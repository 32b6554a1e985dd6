"""ControlTalk's ``lipControlNet`` (Zhao et al. 2024) → our audio encoder and motion generator."""

import re

import torch
from torch import Tensor

from talkingface.audio import HubertWindows
from talkingface.audio.hubert_windows import STEPS
from talkingface.convert.fill import Talking, fill
from talkingface.convert.names import published_names
from talkingface.core.errors import WeightsError
from talkingface.core.interfaces import MotionEncoder
from talkingface.generators import Audio2Exp

# How its names begin, behind the levels that training code puts around them.
ROOTS = re.compile(r"(?:^|\.)(audio_encoder\.fc\d+\..*|out_fc\..*)")
LISTENER = (
    *((rf"^projections\.{index}\.", f"audio_encoder.fc{index + 1}.") for index in range(4)),
    (r"\.residual\.", ".fc."),
    (r"\.norm\.", ".layer_norm."),
)
USUAL = 0.7  # alpha of the released code


def audio2exp_parts(tensors: dict[str, Tensor], motion: MotionEncoder, origin: str) -> Talking:
    """Audio encoder and expression editor.

    The published layer is told an expression axis by axis and answers keypoint by keypoint; ours takes both keypoint
    by keypoint, so that the columns of its weight are put in order here.

    Args:
        tensors: of the checkpoint, with or without levels such as ``state_dict``.
        motion: the motion encoder of the face-vid2vid that it was trained on.
        origin: what the checkpoint is called in messages.

    Raises:
        WeightsError: for another architecture, naming what differs, or another number of keypoints.
    """
    found = {match[1]: tensor for name, tensor in tensors.items() if (match := ROOTS.search(name))}
    ignored = tuple(name for name in tensors if not ROOTS.search(name))
    names = [f"audio_encoder.fc{number}.projection.weight" for number in range(1, 5)]
    absent = [name for name in (*names, "out_fc.weight") if name not in found]
    if absent:
        raise WeightsError(f"{origin} is no lipControlNet of ControlTalk: it lacks {', '.join(absent)}.")
    outs = [len(found[name]) for name in names]
    width = len(found["out_fc.weight"])
    if motion.spec.slices.get("expression") != width:
        raise WeightsError(
            f"{origin} edits an expression of {width} numbers ({width // 3} keypoints), and that of the stage 1 has "
            f"{motion.spec.slices.get('expression', 'none')}. Give the face-vid2vid that it was trained on."
        )
    channels = found[names[0]].shape[1] // STEPS
    with torch.random.fork_rng(devices=[]):  # drawn only to be overwritten
        audio = HubertWindows(dim=outs[-1], hidden=outs[:-1], channels=channels)
        generator = Audio2Exp(motion, audio, mouth=USUAL)
    keypoint_major = torch.arange(width).view(3, -1).T.flatten()  # place of (keypoint, axis) in their order
    weight = found["out_fc.weight"]
    found["out_fc.weight"] = torch.cat([weight[:, keypoint_major], weight[:, width:]], 1)
    rest = fill(audio, published_names(audio, LISTENER), found, origin)
    rest = fill(generator, {f"out_fc.{kind}": f"zero.{kind}" for kind in ("weight", "bias")}, rest, origin)
    generator.motion_range.known.fill_(True)  # trained on expressions as they are
    return Talking(
        {"audio_encoder": audio.eval(), "motion_generator": generator.eval()},
        ignored=(*ignored, *rest),
        variant="Audio2Exp",
    )
