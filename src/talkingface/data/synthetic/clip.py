"""Clips: a person, a seed, and everything that is true about every frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from talkingface.core.errors import ConfigError, did_you_mean

from .expression import EMOTIONS, INTENSITIES, emotion_offset
from .framing import Framing
from .model import build_model
from .motion import FPS, draw_trajectory
from .parts import NECK_PIVOT
from .phonemes import Phoneme, random_speech
from .render import Placement, brow_chin, draw, expressed, landmarks_of, rotation
from .speech import SAMPLE_RATE, synthesise
from .staging import USUAL, Staging
from .visemes import mouth_track

SAMPLES_PER_FRAME = int(SAMPLE_RATE / FPS)


@dataclass(frozen=True)
class SyntheticClip:
    """A talking head with its ground truth.

    Attributes:
        frames: uint8 ``(T, H, W, 3)`` RGB, 25 a second.
        audio: float32 ``(640 * T,)``, 16 kHz mono in [-1, 1]; empty if it was not asked for.
        landmarks: float32 ``(T, 68, 2)``, x and y as fractions of the frame.
        pose: float32 ``(T, 3)``, yaw, pitch, roll in degrees.
        location: float32 ``(T,)``, x of the nose tip (landmark 30) in [0, 1].
        scale: float32 ``(T,)``, mid-point of landmarks 21 and 22 to landmark 8, over frame height.
        expression: float32 ``(T, len(EXPRESSIONS))``.
        emotion, intensity: a MEAD emotion and its level, 1 to 3.
        identity, seed: what the clip was drawn from.
        phonemes: what is said, in seconds, without gaps.
    """

    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    pose: NDArray[np.float32]
    location: NDArray[np.float32]
    scale: NDArray[np.float32]
    expression: NDArray[np.float32]
    emotion: str
    intensity: int
    identity: int
    phonemes: tuple[Phoneme, ...]
    seed: int


def render_clip(
    identity: int,
    seed: int,
    frames: int = 75,
    size: int = 128,
    emotion: str | None = None,
    intensity: int | None = None,
    audio: bool = True,
    staging: Staging = USUAL,
) -> SyntheticClip:
    """Make a clip of an identity talking.

    Args:
        identity: identity number; appearance and voice depend on nothing else.
        seed: decides speech, movement, and emotion where it is not given. Movement does not depend on ``size`` or
            ``audio``.
        frames: length at 25 frames a second.
        size: height and width in pixels.
        emotion: one of ``EMOTIONS``; ``None`` draws one from the seed.
        intensity: 1, 2 or 3; ``None`` draws one from the seed.
        audio: whether to synthesise the sound.
        staging: how near and how lively; labels are those of what is shown.

    Returns:
        The clip with its ground truth.

    Raises:
        ConfigError: for an unknown emotion or intensity, fewer than one frame, or a framing outside of (0, 1].
    """
    shown = Framing(size, staging.framing)
    if emotion is not None and emotion not in EMOTIONS:
        raise ConfigError(f"unknown emotion {emotion!r}; known: {did_you_mean(emotion, EMOTIONS)}")
    if intensity is not None and intensity not in INTENSITIES:
        raise ConfigError(f"intensity is 1, 2 or 3, not {intensity!r}")
    if frames < 1 or size < 16:
        raise ConfigError(f"a clip needs at least 1 frame of 16 pixels, not {frames} of {size}")
    model = build_model(identity)
    person = model.identity
    mood_rng, speech_rng, motion_rng, sound_rng = (
        np.random.default_rng([identity, seed, stream]) for stream in range(4)
    )
    drawn = EMOTIONS[int(mood_rng.integers(len(EMOTIONS)))], int(mood_rng.integers(1, 4))
    emotion, intensity = emotion or drawn[0], intensity or drawn[1]
    utterance = random_speech(speech_rng, frames / FPS)
    mouth = mouth_track(utterance.phonemes, frames, FPS)
    offset = emotion_offset(emotion, intensity)
    path = draw_trajectory(motion_rng, frames, mouth, offset, emotion, utterance.stresses, staging.liveliness)

    pictures = np.empty((frames, size, size, 3), np.uint8)
    landmarks = np.empty((frames, 68, 2), np.float32)
    scale = np.empty(frames, np.float32)
    for index in range(frames):
        expression = path.expression[index]
        matrix = rotation(*path.pose[index])
        zoom = float(path.zoom[index])
        shift = (path.neck[index] - zoom * (matrix @ NECK_PIVOT)[:2]).astype(np.float32)
        vertices = expressed(model, expression)
        points = landmarks_of(model, vertices) @ matrix.T
        pictures[index] = shown.cut(draw(model, vertices, expression, Placement(matrix, zoom, shift), shown.whole))
        landmarks[index] = shown.inside(points[:, :2] * zoom + shift)
        scale[index] = zoom * brow_chin(points) * (shown.whole / size)
    if audio:
        wave = synthesise(
            utterance.phonemes, frames * SAMPLES_PER_FRAME, person.pitch_hz, person.tract, sound_rng, utterance.stresses
        )
    else:
        wave = np.zeros(0, np.float32)
    return SyntheticClip(
        frames=pictures,
        audio=wave,
        landmarks=landmarks,
        pose=path.pose.astype(np.float32),
        location=landmarks[:, 30, 0].copy(),
        scale=scale,
        expression=path.expression,
        emotion=emotion,
        intensity=intensity,
        identity=identity,
        phonemes=utterance.phonemes,
        seed=seed,
    )


def split_identities(count: int, seed: int = 0) -> dict[Literal["train", "val", "test"], list[int]]:
    """Share the identities 0 … count-1 between training, validation and test, about 80 : 10 : 10.

    Args:
        count: number of identities; from 3 on every part has at least one.
        seed: of the shuffle.

    Returns:
        Disjoint sorted lists that together hold every identity.

    >>> {name: len(members) for name, members in split_identities(20).items()}
    {'train': 16, 'val': 2, 'test': 2}
    """
    order = np.random.default_rng([count, seed]).permutation(count).tolist()
    held = max(round(0.1 * count), 1) if count >= 3 else 0
    return {"train": sorted(order[2 * held :]), "val": sorted(order[:held]), "test": sorted(order[held : 2 * held])}
