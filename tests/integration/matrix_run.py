"""Every representation with every renderer and every generator, by configuration alone."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

import talkingface
from talkingface.cli.main import main
from talkingface.data.synthetic import render_clip

MOTIONS = {
    "latent": {"size": 64, "width": 0.0625, "code_dim": 32, "dim": 20},
    "liveportrait": {"size": 64, "width": 0.125, "keypoints": 21},
    "facevid2vid": {"size": 64, "width": 0.0625, "keypoints": 15, "depth": 4},
    "landmarks": {"reader": "synthetic"},
    "coefficients": {"reader": "synthetic", "expression": 16},
}
RENDERERS = {"lia": {"size": 64, "width": 0.0625}, "facevid2vid": {"size": 64, "width": 0.0625, "depth": 4}}
GENERATORS = {
    "diffusion": {"dim": 24, "blocks": 1, "static": 4, "hidden": 4},
    "regression": {"dim": 24, "blocks": 1},
    "audio2exp": {},
}
# of the sizes of test_swaps and test_generation, so that their clips are drawn once for all
PEOPLE = {"size": 64, "batch_size": 2, "clips_per_identity": 1}
PAIRS = {**PEOPLE, "identities": 4, "frames": 3, "pairs_per_clip": 2}
SPEECH = {**PEOPLE, "identities": 6, "clip_frames": 16, "frames": 10, "windows_per_clip": 2}
TRAINER = {
    "max_steps": 1,
    "accelerator": "cpu",
    "limit_val_batches": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def part(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A part as recipes write it."""
    return {"class_path": name, "init_args": settings}


def fit(folder: Path, model: dict[str, Any], data: dict[str, Any]) -> int:
    """Train one step as a user would; returns what the command returns."""
    folder.mkdir(parents=True)
    trainer = {**TRAINER, "default_root_dir": str(folder)}
    recipe = {"seed_everything": 0, "model": model, "data": data, "trainer": trainer}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return main(["fit", "-c", str(folder / "recipe.yaml")])


def export(folder: Path) -> Path:
    """The model folder of what :func:`fit` trained."""
    (checkpoint,) = folder.rglob("*.ckpt")
    assert main(["export", str(checkpoint), str(folder / "model")]) == 0
    return folder / "model"


def moved_by_video(folder: Path, motion: str, renderer: str) -> Path:
    """The model of a representation and a renderer."""
    parts = {"motion_encoder": part(motion, MOTIONS[motion]), "renderer": part(renderer, RENDERERS[renderer])}
    assert fit(folder, part("reconstruction", {**parts, "loss_weights": {"l1": 1.0}}), part("synthetic", PAIRS)) == 0
    return export(folder)


def learn_to_speak(folder: Path, representation: Path, generator: str) -> int:
    """Train a generator of a representation's motion; returns what the command returns."""
    parts = {
        "representation": str(representation),
        "audio_encoder": part("mel", {"dim": 8, "blocks": 1}),
        "motion_generator": part(generator, GENERATORS[generator]),
    }
    return fit(folder, part("generation", parts), part("synthetic-clips", SPEECH))


def animated(model: Path, **driving: Any) -> np.ndarray:
    """Frames of a synthetic person whom the model moves."""
    portrait = render_clip(1, 5, frames=1, size=64, audio=False).frames[0]
    return talkingface.load(model, device="cpu").animate(portrait, crop="none", **driving).numpy()
