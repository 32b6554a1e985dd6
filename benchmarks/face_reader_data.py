"""What the face reader is made from and measured on: drawn people with what is true of them, and damage to pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from talkingface.core.geometry import rotation
from talkingface.data.synthetic import EMOTIONS, EXPRESSIONS, emotion_offset, render_clip, render_frame
from talkingface.data.synthetic.motion import limited
from talkingface.evaluation.face_reader import SIZE, FaceReading

TRAIN_PEOPLE = range(1_000_000, 1_000_600)
CHOICE_PEOPLE = range(1_500_000, 1_500_040)  # decide which parameters are readable, and what the usual face is
TEST_PEOPLE = range(2_000_000, 2_000_060)
FRAMES_A_PERSON = 24
SEED = 0
LEFT, RIGHT = EXPRESSIONS.index("blink_left"), EXPRESSIONS.index("blink_right")
GAZE, SMIRK = EXPRESSIONS.index("gaze_x"), EXPRESSIONS.index("smirk")
# landmark that lies where each one comes to lie in a mirrored picture
_RUNS = (
    (16, 0),
    (26, 17),
    (27, 30),
    (35, 31),
    (45, 42),
    (47, 46),
    (39, 36),
    (41, 40),
    (54, 48),
    (59, 55),
    (64, 60),
    (67, 65),
)
MIRROR = [point for a, b in _RUNS for point in range(a, b + (1 if b > a else -1), 1 if b > a else -1)]
Arrays = dict[str, NDArray[Any]]


def draw_expression(rng: np.random.Generator) -> NDArray[np.float32]:
    """An emotion, a mouth and eyes drawn apart from each other, so that no parameter can be guessed from another."""
    values = np.zeros(len(EXPRESSIONS))
    if rng.random() < 0.6:
        emotion = EMOTIONS[int(rng.integers(len(EMOTIONS)))]
        values += emotion_offset(emotion, int(rng.integers(1, 4))) * rng.uniform(0.7, 1.2)
    for index, name in enumerate(EXPRESSIONS):
        if name.startswith("blink"):
            continue
        if name.startswith("gaze"):
            values[index] += rng.normal() * 0.45
        elif rng.random() < 0.45:
            values[index] = rng.uniform(-1 if name in ("lip_width", "smile", "brow_raise", "eye_wide") else 0, 1)
    if rng.random() < 0.35:
        values[LEFT] = values[RIGHT] = rng.random()
        if rng.random() < 0.2:
            values[RIGHT] = rng.random()
    return limited(values)


def draw_people(cache: Path) -> Arrays:
    """Frames ``(N, 64, 64, 3)`` and their truth; drawn once, in one process.

    Args:
        cache: npz file that keeps them.
    """
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            return dict(kept)
    rows: dict[str, list[NDArray[Any]]] = {name: [] for name in ("frames", "pose", "expression", "landmarks")}
    for person in track(TRAIN_PEOPLE, "drawing people", console=Console(stderr=True)):
        rng = np.random.default_rng([SEED, person])
        for _ in range(FRAMES_A_PERSON):
            spread = np.array([32.0, 21.0, 16.0])  # a little beyond the limits of clips
            pose = rng.uniform(-spread, spread) if rng.random() < 0.6 else rng.normal(size=3).clip(-2, 2) * spread / 2.5
            expression = draw_expression(rng)
            place = rng.uniform([0.30, 0.42], [0.70, 0.66])
            frame, landmarks = render_frame(person, pose, place, rng.uniform(0.31, 0.54), expression, SIZE)
            for name, value in (("frames", frame), ("expression", expression), ("landmarks", landmarks)):
                rows[name].append(value)
            rows["pose"].append(pose.astype(np.float32))
    arrays: Arrays = {name: np.stack(values) for name, values in rows.items()}
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, **arrays)
    return arrays


def draw_clips(people: range, cache: Path) -> Arrays:
    """Every third frame of one ordinary clip a person, and its truth; drawn once.

    Args:
        people: identity numbers.
        cache: npz file that keeps them.
    """
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            return dict(kept)
    clips = [render_clip(person, SEED, 75, SIZE, audio=False) for person in track(people, "drawing clips")]
    names = ("frames", "pose", "expression", "landmarks")
    arrays: Arrays = {name: np.concatenate([getattr(clip, name)[::3] for clip in clips]) for name in names}
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, **arrays)
    return arrays


def truth_of(arrays: Arrays) -> FaceReading:
    """What is true of drawn frames."""
    pose, expression, landmarks = (torch.from_numpy(arrays[name]) for name in ("pose", "expression", "landmarks"))
    return FaceReading(rotation(pose), expression, landmarks)


def mirrored(images: Tensor, truth: FaceReading, which: Tensor) -> tuple[Tensor, FaceReading]:
    """Flip some pictures, and swap left and right in what is true of them.

    Args:
        images: ``(N, 3, H, W)``.
        truth: of the images.
        which: ``(N,)``, which of them; none that smirks, for the smirk has only one side.
    """
    sign = torch.tensor([[1.0, -1, -1], [-1, 1, 1], [-1, 1, 1]])  # conjugation with a reflection of x
    points = truth.landmarks[:, MIRROR] * torch.tensor([-1.0, 1]) + torch.tensor([1.0, 0])
    order = list(range(len(EXPRESSIONS)))
    order[LEFT], order[RIGHT] = RIGHT, LEFT
    expression = truth.expression[:, order]
    expression[:, GAZE] *= -1
    return torch.where(which[:, None, None, None], images.flip(-1), images), FaceReading(
        torch.where(which[:, None, None], truth.rotation * sign, truth.rotation),
        torch.where(which[:, None], expression, truth.expression),
        torch.where(which[:, None, None], points, truth.landmarks),
    )


def moved(images: Tensor, truth: FaceReading, generator: torch.Generator) -> tuple[Tensor, FaceReading]:
    """Turn by up to 8°, scale by up to 12 % and shift by up to 6 % of the frame, in the picture plane."""
    count = len(images)

    def uniform(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    angle, zoom, shift = uniform(8.0), torch.exp(uniform(0.12)), uniform(0.06, 2)
    turn = rotation(torch.stack([torch.zeros(count), torch.zeros(count), angle], dim=1))
    matrix = turn[:, :2, :2] * zoom[:, None, None]
    points = (truth.landmarks - 0.5) @ matrix.transpose(1, 2) + 0.5 + shift[:, None]
    inverse = torch.linalg.inv(matrix)
    theta = torch.cat([inverse, -2 * inverse @ shift[:, :, None]], dim=2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return images, FaceReading(turn @ truth.rotation, truth.expression, points)


def softened(images: Tensor, generator: torch.Generator) -> Tensor:
    """What generators do to pictures: blur, lost detail, noise, other colours; a third of a batch stays sharp."""
    count = len(images)
    soft = torch.rand(count, 1, 1, 1, generator=generator)
    sigma = float(torch.rand((), generator=generator)) * 1.6 + 0.3
    blurred = blur(images, sigma)
    half = functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    images = torch.where(soft < 0.45, blurred, torch.where(soft < 0.65, half, images))
    ghost = (torch.rand(count, 1, 1, 1, generator=generator) - 0.75).clamp_min(0)  # up to a quarter of another picture
    images = images * (1 - ghost) + images.flip(0) * ghost
    gain = torch.exp(0.25 * torch.randn(count, 3, 1, 1, generator=generator))
    bias = 0.15 * torch.randn(count, 3, 1, 1, generator=generator)
    noise = 0.06 * torch.rand(count, 1, 1, 1, generator=generator)
    return images * gain + bias + noise * torch.randn(images.shape, generator=generator)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of ``(N, 3, H, W)``; ``sigma`` in pixels."""
    reach = int(np.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel, groups=3)
    return functional.conv2d(across, kernel.transpose(2, 3), groups=3)
