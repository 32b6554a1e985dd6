"""Synthetic clips rendered once, kept on disk and mapped into memory, so that training never waits for the renderer."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from talkingface.core.cache import cache_folder
from talkingface.core.files import atomic_folder, made_once
from talkingface.data import synthetic
from talkingface.data.synthetic import EMOTIONS, USUAL, Staging, render_clip, split_identities
from talkingface.data.synthetic.expression import INTENSITIES

Split = Literal["train", "val", "test"]
LABELS = ("landmarks", "pose", "location", "scale", "expression")


@dataclass(frozen=True)
class RenderedSet:
    """What to render.

    Args:
        split: which identities.
        identities: how many people the whole set has; the splits divide them.
        clips_per_identity: clips of each.
        frames: length of a clip, at 25 fps.
        size: side of the frames, in pixels.
        seed: of the split and of every clip.
        audio: whether the clips have sound.
        staging: how near and how lively.
    """

    split: Split
    identities: int
    clips_per_identity: int
    frames: int
    size: int
    seed: int
    audio: bool = False
    staging: Staging = USUAL

    def draws(self) -> list[tuple[int, int]]:
        """(identity, seed) of every clip; a clip's seed is unique over the whole set."""
        people = split_identities(self.identities, self.seed)[self.split]
        return [
            (person, self.seed * 1_000_003 + person * 1_009 + nth)
            for person in people
            for nth in range(self.clips_per_identity)
        ]

    def folder(self) -> Path:
        """Where the set is cached: keyed by the settings and by the code that draws, so that neither can be stale."""
        settings = asdict(self)
        for field in fields(self):  # what was added later counts where it is used: older sets keep their place
            if getattr(self, field.name) == field.default:
                del settings[field.name]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for file in sorted(Path(synthetic.__file__).parent.glob("*.py")):
            digest.update(file.read_bytes())
        return cache_folder("synthetic", digest.hexdigest()[:16])


class RenderedClip:
    """One clip of a rendered set (a :class:`talkingface.data.pairs.Clip`; with sound a ``SpokenClip``)."""

    def __init__(
        self,
        clip_id: str,
        identity: str,
        frames: NDArray[np.uint8],
        labels: dict[str, NDArray[np.float32]],
        sound: NDArray[np.float32],
        origin: str,
        emotion: str,
    ) -> None:
        self.clip_id = clip_id
        self.identity = identity
        self.emotion = emotion
        self._frames = frames
        self._labels = labels
        self._sound = sound
        self._origin = origin

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)``."""
        return np.stack([self._frames[index] for index in indices])

    def stream(self, batch: int) -> Iterator[NDArray[np.uint8]]:
        """All frames in order, up to ``batch`` at a time, ``(n, H, W, 3)``."""
        for first in range(0, len(self), batch):
            yield np.array(self._frames[first : first + batch])

    def wave(self) -> NDArray[np.float32]:
        """Its sound, 16 kHz mono ``(640 * T,)``; empty in a set without."""
        return np.array(self._sound)

    def fingerprint(self) -> str:
        """The set and the clip: settings, drawing code and seed."""
        return f"{self._origin}-{self.clip_id}"

    def truth(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Landmarks ``(n, 68, 2)``, pose ``(n, 3)``, location ``(n,)``, scale ``(n,)``, expression ``(n, E)``."""
        return {name: torch.from_numpy(np.stack([track[i] for i in indices])) for name, track in self._labels.items()}


def render_set(wanted: RenderedSet, processes: int = 1) -> list[RenderedClip]:
    """Give the clips of a set, rendering them first if that was never done.

    Args:
        wanted: the set.
        processes: how many processes render.

    Returns:
        Clips whose frames are memory-mapped.
    """
    folder = wanted.folder()
    keys = wanted.draws()
    if not keys:
        return []
    if not folder.is_dir():
        with made_once(folder) as missing:
            if missing:
                _render(wanted, keys, folder, processes)
    frames = np.load(folder / "frames.npy", mmap_mode="r", allow_pickle=False)
    labels = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in LABELS}
    sound = (
        np.load(folder / "audio.npy", mmap_mode="r", allow_pickle=False) if wanted.audio else np.empty((len(keys), 0))
    )
    return [
        RenderedClip(
            f"{wanted.split}-id{person:04d}-{seed}",
            f"id{person:04d}",
            frames[index],
            {name: values[index] for name, values in labels.items()},
            sound[index],
            folder.name,
            draw_mood(person, seed)[0],
        )
        for index, (person, seed) in enumerate(keys)
    ]


def draw_mood(person: int, seed: int) -> tuple[str, int]:
    """Emotion and intensity of a clip, as :func:`render_clip` draws them where they are not given."""
    draws = np.random.default_rng([person, seed, 0])
    return EMOTIONS[int(draws.integers(len(EMOTIONS)))], int(draws.integers(1, 1 + len(INTENSITIES)))


def _render(wanted: RenderedSet, keys: list[tuple[int, int]], folder: Path, processes: int) -> None:
    shape = (len(keys), wanted.frames, wanted.size, wanted.size, 3)
    tracks: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _tracks_of(wanted.audio)}
    with atomic_folder(folder) as part, ProcessPoolExecutor(processes) as pool:
        frames = np.lib.format.open_memmap(part / "frames.npy", mode="w+", dtype=np.uint8, shape=shape)
        jobs = [
            pool.submit(_render_one, person, seed, wanted.frames, wanted.size, wanted.audio, wanted.staging)
            for person, seed in keys
        ]
        console = Console(stderr=True)
        title = f"rendering {wanted.split} people, once"
        shown = track(jobs, title, console=console, transient=True, disable=not console.is_terminal)
        for index, job in enumerate(shown):
            frames[index], labels = job.result()
            for name, values in labels.items():
                tracks[name].append(values)
        frames.flush()
        for name, clips in tracks.items():
            np.save(part / f"{name}.npy", np.stack(clips), allow_pickle=False)


def _render_one(
    person: int, seed: int, frames: int, size: int, audio: bool, staging: Staging
) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    clip = render_clip(person, seed, frames, size, *draw_mood(person, seed), audio=audio, staging=staging)
    return clip.frames, {name: getattr(clip, name) for name in _tracks_of(audio)}


def _tracks_of(audio: bool) -> tuple[str, ...]:
    return (*LABELS, "audio") if audio else LABELS
