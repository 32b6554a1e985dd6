"""Wav2Lip's expert of lip synchrony (``SyncNet_color``, Prajwal et al. 2020) → our part."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from talkingface.convert.fill import Built, fill
from talkingface.convert.names import published_names
from talkingface.core.errors import WeightsError
from talkingface.core.tensors import flatten_tensors
from talkingface.losses import SyncExpert

# How its names begin, behind the levels that training code puts around them; an optimiser's state has other names.
ROOTS = re.compile(r"(?:^|\.)((?:face|audio)_encoder\.\d+\.conv_block\..*)")
EXPERT = (
    (r"^lips", "face_encoder"),
    (r"^speech", "audio_encoder"),
    (r"\.convolution\.", ".conv_block.0."),
    (r"\.norm\.", ".conv_block.1."),
)


def sync_expert_parts(tree: Mapping[str, Any], origin: str) -> Built:
    """The sync expert.

    Args:
        tree: tensors, with or without levels such as ``state_dict``.
        origin: what the checkpoint is called in messages.

    Raises:
        WeightsError: for another architecture, naming what differs.
    """
    tensors, ignored = {}, []
    for name, tensor in flatten_tensors(dict(tree)).items():
        found = ROOTS.search(name)
        if found is None:
            ignored.append(name)
        else:
            tensors[found[1]] = tensor
    if not any(name.startswith("face_encoder.") for name in tensors):
        raise WeightsError(f"{origin} is no sync expert of Wav2Lip: it has no face_encoder.N.conv_block.")
    with torch.random.fork_rng(devices=[]):  # drawn only to be overwritten
        expert = SyncExpert()
    rest = fill(expert, published_names(expert, EXPERT), tensors, origin)
    return Built({"sync_expert": expert.eval()}, ignored=(*ignored, *rest))
