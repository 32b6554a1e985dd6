"""Training checkpoint → model folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from talkingface.core.component import WEIGHTS_NAME, Component, load_exactly
from talkingface.core.errors import WeightsError
from talkingface.core.provenance import CHECKPOINT_FORMAT
from talkingface.core.tensors import read_tensors
from talkingface.hub import build_parts, load_model, save_model
from talkingface.weights import sha256


def export_checkpoint(checkpoint: str | Path, folder: str | Path, representation: str | Path | None = None) -> None:
    """Take the parts out of a checkpoint that ``talkingface fit`` wrote.

    Where weights were averaged (EMA), Lightning's ``state_dict`` holds the average, and that is what is exported. A
    checkpoint of stage 2 is exported together with the motion encoder and the renderer that it was trained for.

    Args:
        checkpoint: the file.
        folder: model folder to make, whole or not at all.
        representation: model folder of stage 1, where it has moved since the training of stage 2.

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
    given = _stage1(checkpoint, about["representation"], representation) if "representation" in about else {}
    parts = build_parts(about["parts"], given)
    for name, part in parts.items():
        load_exactly(part, _tensors_of(name, content["state_dict"]), f"part '{name}' of {checkpoint}")
    save_model(folder, {**given, **parts}, _card(about, content))


def _stage1(checkpoint: str | Path, origin: Mapping[str, str], folder: str | Path | None) -> dict[str, Component]:
    """The frozen parts that a checkpoint of stage 2 was trained for, recognised by the motion encoder's weights."""
    folder = Path(folder or origin["folder"])
    weights = folder / "motion_encoder" / WEIGHTS_NAME
    if not weights.is_file():
        raise WeightsError(
            f"{checkpoint} was trained for the representation {folder}, which is not there. Name its model folder by "
            "'--representation DIR'."
        )
    if sha256(weights) != origin["sha256"]:
        raise WeightsError(
            f"{folder} is not the representation that {checkpoint} was trained for: its motion encoder has other "
            "weights, so the motion would mean something else. Name the right folder by '--representation DIR'."
        )
    return load_model(folder)


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
