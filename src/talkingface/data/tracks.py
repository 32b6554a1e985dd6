"""What frozen encoders see in a clip, kept on disk: motion and code of each frame, features of the speech.

Both are named after what they depend on: the encoder's configuration and weights, those of a network that reads faces
for it, and the content of the clip, labels included where they tell its motion. So a changed encoder or clip never
meets a stale track, and another audio encoder leaves the motion as it is.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from talkingface.core.cache import cache_folder
from talkingface.core.errors import MediaError
from talkingface.core.files import atomic_file
from talkingface.core.gaps import filled
from talkingface.core.images import center_square, resize, to_float
from talkingface.core.interfaces import AudioEncoder, MotionEncoder

FORMAT = 1  # of the files; raise it when the same encoder and clip would give other ones
FPS = 25
BATCH = 16  # frames encoded together


class SpokenClip(Protocol):
    """A clip with sound that is read from its beginning to its end."""

    @property
    def clip_id(self) -> str:
        """Name of the clip, unique in its data set."""

    @property
    def identity(self) -> str:
        """Name of the person."""

    def __len__(self) -> int:
        """Number of frames on the 25 fps grid."""

    def stream(self, batch: int) -> Iterator[NDArray[np.uint8]]:
        """All frames in order, up to ``batch`` at a time, ``(n, H, W, 3)``."""

    def wave(self) -> NDArray[np.float32]:
        """Its sound, 16 kHz mono ``(640 * T,)``."""

    def fingerprint(self) -> str:
        """Names the content of the clip: other frames or another sound, another name."""


@dataclass(frozen=True)
class ClipTracks:
    """One encoded clip; windows are read from memory-mapped files.

    Args:
        clip_id, identity: of the clip.
        frames: its length T.
        motion: width D of the motion.
        seen: file of motion and code, ``(T, D + C)`` float32.
        heard: file of the speech features, ``(L, Ta, C)`` float16.
    """

    clip_id: str
    identity: str
    frames: int
    motion: int
    seen: Path
    heard: Path

    def rows(self, first: int, last: int, step: int = 1) -> tuple[Tensor, Tensor]:
        """Motion ``(n, D)`` and code ``(n, C)`` of the frames ``range(first, last, step)``."""
        found = torch.from_numpy(np.array(np.load(self.seen, mmap_mode="r", allow_pickle=False)[first:last:step]))
        return found[:, : self.motion], found[:, self.motion :]

    def features(self, first: int, last: int) -> Tensor:
        """Speech features of the frames ``range(first, last)``, ``(L, n * rate / 25, C)`` float16."""
        features = np.load(self.heard, mmap_mode="r", allow_pickle=False)
        rate = features.shape[1] // self.frames
        return torch.from_numpy(np.array(features[:, first * rate : last * rate]))


class TrackCache:
    """The tracks of one motion encoder and one audio encoder.

    Args:
        motion_encoder: what the frames are encoded with.
        audio_encoder: what the speech is encoded with; only its frozen step counts.
        size: side of the pictures that the motion encoder is given, in pixels.
        labels_of: what is known of each frame of a clip, see :meth:`MotionEncoder.of_labels`; where that tells its
            motion, its pictures are not looked at.
    """

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        audio_encoder: AudioEncoder,
        size: int,
        labels_of: Callable[[Any], Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.motion_encoder = motion_encoder
        self.audio_encoder = audio_encoder
        self.size = size
        self._labels_of = labels_of
        trunk = motion_encoder.image_encoder
        self._width = motion_encoder.spec.dim + (0 if trunk is None else trunk.code_dim)
        motion_key = [FORMAT, size, motion_encoder.config, weights_digest(motion_encoder)]
        self._motion = cache_folder("tracks", "motion", _hash(motion_key))
        self._speech = cache_folder("tracks", "speech", _hash([FORMAT, audio_encoder.fingerprint()]))

    def find(self, clip: SpokenClip) -> ClipTracks | None:
        """The tracks of a clip; ``None`` where one is missing or damaged."""
        try:
            seen, heard = self._files(clip, self._told(clip))
        except MediaError:  # it has gone
            return None
        whole = is_whole(seen, self._seen_shape(clip), np.float32) and is_whole(
            heard, self._heard_shape(clip), np.float16
        )
        motion = self.motion_encoder.spec.dim
        return ClipTracks(clip.clip_id, clip.identity, len(clip), motion, seen, heard) if whole else None

    def encode(self, clips: Sequence[SpokenClip], device: torch.device, title: str) -> dict[str, str]:
        """Encode what was not encoded before; interrupted, it goes on at the next clip.

        Args:
            clips: what to encode.
            device: where to compute; the encoders stay there.
            title: for the progress bar.

        Returns:
            Name and reason of each clip that cannot be read.
        """
        unreadable: dict[str, str] = {}
        console = Console(stderr=True)
        shown = track(clips, title, console=console, transient=True, disable=not console.is_terminal)
        with _frozen(device, self.motion_encoder, self.audio_encoder):
            for clip in shown:
                try:
                    told = self._told(clip)
                    seen, heard = self._files(clip, told)
                    if not is_whole(seen, self._seen_shape(clip), np.float32):
                        self._look(clip, seen, device, told)
                    if not is_whole(heard, self._heard_shape(clip), np.float16):
                        self._listen(clip, heard, device)
                except MediaError as error:
                    unreadable[clip.clip_id] = str(error)
        return unreadable

    @functools.cached_property
    def _network(self) -> bytes:
        """What else pictures are looked at with; hashing it may take a second."""
        return self.motion_encoder.fingerprint().encode()

    def _told(self, clip: SpokenClip) -> Tensor | None:
        """Motion ``(T, D)`` that the labels of a clip tell; ``None`` where it has to be looked for."""
        if not self.motion_encoder.labels or self._labels_of is None:
            return None
        return self.motion_encoder.of_labels(self._labels_of(clip))

    def _files(self, clip: SpokenClip, told: Tensor | None) -> tuple[Path, Path]:
        name = clip.fingerprint()
        source = self._network if told is None else told.contiguous().numpy().tobytes()
        suffix = f"-{hashlib.sha256(source).hexdigest()[:16]}" if source else ""
        return self._motion / f"{name}{suffix}.npy", self._speech / f"{name}.npy"

    def _seen_shape(self, clip: SpokenClip) -> tuple[int, ...]:
        return len(clip), self._width

    def _heard_shape(self, clip: SpokenClip) -> tuple[int, ...]:
        encoder = self.audio_encoder
        return encoder.layers, len(clip) * encoder.rate // FPS, encoder.channels

    def _look(self, clip: SpokenClip, path: Path, device: torch.device, told: Tensor | None) -> None:
        encoder, trunk = self.motion_encoder, self.motion_encoder.image_encoder
        first = 0
        if told is not None:
            with written(path, self._seen_shape(clip), np.float32) as rows:
                rows[:] = self._whole(told, clip)
            return
        with written(path, self._seen_shape(clip), np.float32) as rows:
            for frames in clip.stream(BATCH):
                pictures = resize(to_float(center_square(frames)).to(device), self.size)
                if trunk is None:
                    found = encoder(pictures)
                else:
                    code = trunk(pictures)
                    found = torch.cat((encoder.motion_of(code), code.code), 1)
                rows[first : first + len(frames)] = found.cpu().numpy()
                first += len(frames)
            if encoder.labels:
                rows[:] = self._whole(torch.from_numpy(np.array(rows)), clip)

    def _whole(self, motion: Tensor, clip: SpokenClip) -> NDArray[np.float32]:
        """Measured motion ``(T, D)`` without its gaps."""
        motion = filled(motion)
        if motion.isnan().any():
            raise MediaError(f"no face is found in {clip.clip_id}. Look at the clip, and at its labels or the reader.")
        return motion.numpy()

    def _listen(self, clip: SpokenClip, path: Path, device: torch.device) -> None:
        encoder, first = self.audio_encoder, 0
        wave = torch.from_numpy(clip.wave()).to(device)
        with written(path, self._heard_shape(clip), np.float16) as features:
            for piece in encoder.walk(wave[None]):
                found = piece[0].half()
                if not found.isfinite().all():
                    raise MediaError(
                        f"{type(encoder).__name__} finds NaN or more than 65504 in the speech of {clip.clip_id}; "
                        "features are kept in half precision. Look at the clip's sound and at the encoder's weights."
                    )
                features[:, first : first + found.shape[1]] = found.cpu().numpy()
                first += found.shape[1]


def weights_digest(part: torch.nn.Module) -> str:
    """SHA-256 of a part's tensors, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(part.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def is_whole(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    """Whether a file holds an array of this shape and type, complete to its last byte; its numbers are not looked at.

    Args:
        path: the ``.npy`` file; it may be missing.
        shape, dtype: of the array.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return array.shape == shape and array.dtype == dtype


@contextmanager
def written(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """Give an array on disk to fill, which appears as ``path`` when the block ends well; the last of two writers wins.

    Args:
        path: the ``.npy`` file.
        shape, dtype: of the array.
    """
    with atomic_file(path) as part:
        array = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        yield array
        array.flush()


@contextmanager
def _frozen(device: torch.device, *parts: torch.nn.Module) -> Iterator[None]:
    """Parts in evaluation mode on a device, without gradients."""
    modes = [part.training for part in parts]
    try:
        with torch.no_grad():
            for part in parts:
                part.to(device).eval()
            yield
    finally:
        for part, mode in zip(parts, modes, strict=True):
            part.train(mode)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
