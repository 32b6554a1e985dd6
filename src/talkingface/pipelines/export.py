"""Training checkpoint → model folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from talkingface.core.component import load_exactly
from talkingface.core.errors import WeightsError
from talkingface.core.provenance import CHECKPOINT_FORMAT
from talkingface.core.tensors import read_tensors
from talkingface.hub import build_parts, save_model


def export_checkpoint(checkpoint: str | Path, folder: str | Path) -> None:
    """Take the parts out of a checkpoint that ``talkingface fit`` wrote.

    Where weights were averaged (EMA), Lightning's ``state_dict`` holds the average, and that is what is exported.

    Args:
        checkpoint: the file.
        folder: model folder to make, whole or not at all.

    Raises:
        WeightsError: when it is no checkpoint of ours, is damaged or needs code, or its tensors do not fit its parts.
        ConfigError: when it names classes outside talkingface and its plugins.
    """
    content = read_tensors(checkpoint)
    about = content.get("talkingface")
    if not isinstance(about, dict) or "parts" not in about or "state_dict" not in content:
        raise WeightsError(
            f"{checkpoint} was not written by 'talkingface fit'. For a published checkpoint use 'talkingface convert'."
        )
    if about.get("format", 0) > CHECKPOINT_FORMAT:
        raise WeightsError(f"{checkpoint} was written by talkingface {about.get('version')}; update talkingface.")
    parts = build_parts(about["parts"])
    for name, part in parts.items():
        load_exactly(part, _tensors_of(name, content["state_dict"]), f"part '{name}' of {checkpoint}")
    save_model(folder, parts, _card(about, content))


def _tensors_of(part: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): tensor for name, tensor in state.items() if name.startswith(f"{part}.")}


def _card(about: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    averaged = "averages of the training run (EMA)" if "current_model_state" in content else "those of the last step"
    return {
        "Training": {
            "talkingface": about.get("version"),
            "git commit": about.get("git") or "unknown",
            "epochs": content.get("epoch", 0) + 1,
            "optimiser steps": content.get("global_step"),
            "weights": averaged,
        },
        "Settings": json.loads(json.dumps(about.get("config"))),
    }
