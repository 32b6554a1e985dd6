"""What all speech encoders share: sound cut into pieces for the frozen step, layers summed and thinned to frames."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_finite, check_shape
from talkingface.core.component import public_path
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import AudioEncoder
from talkingface.core.nn.conformer import Conformer

FPS = 25  # video frames a second
SAMPLES = 640  # of a video frame, at 16 kHz


class SpeechEncoder(AudioEncoder):
    """Frozen features in pieces, a learned sum of their layers, down-sampling to 25 Hz, and a Conformer.

    Sound no longer than ``window`` seconds goes through the frozen step at once. Longer sound is heard in pieces on a
    fixed grid, with ``context`` seconds on both sides that are heard but not kept, so that no network hears more than
    it was made for; a :class:`FeatureStream` walks the same grid and therefore finds the very same features.

    Subclasses say how sound becomes features (:meth:`encode`), and, where the network wants it at one level,
    :meth:`level`.

    Args:
        rate: steps of the features in a second: 50 or 100; or 25, where a subclass reads them by :meth:`thinned`.
        layers, channels: L and C of the features.
        dim: width A of the condition.
        blocks: of the Conformer; 0 leaves it out.
        heads: of its attention.
        dropout: of the Conformer.

    Attributes:
        window: seconds of sound that go through the frozen step together, context included.
        convention: what the features are, exactly; part of the fingerprint.

    Raises:
        ConfigError: for a rate that no down-sampling is known for.
    """

    window: ClassVar[float]
    convention: ClassVar[str]

    def __init__(
        self, *, rate: int, layers: int, channels: int, dim: int, blocks: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.dim, self.rate, self.layers, self.channels = dim, rate, layers, channels
        if layers > 1:
            self.layer_weights = nn.Parameter(torch.zeros(layers))
        if rate == 2 * FPS:
            self.downsample = _halve(channels, dim)
        elif rate == 4 * FPS:
            self.reduce = nn.Sequential(_halve(channels, dim // 2), _halve(dim // 2, dim))
        elif rate != FPS:
            raise ConfigError(f"the features have {rate} steps a second; speech encoders take 25, 50 or 100.")
        self.conformer = Conformer(dim, blocks=blocks, heads=heads, dropout=dropout) if blocks else nn.Identity()

    @abstractmethod
    def encode(self, sound: Tensor) -> Tensor:
        """Whole video frames of levelled sound ``(B, 640 T)`` → features ``(B, L, T * rate / 25, C)``.

        Each step may depend on the sound within :attr:`context` of it, and no more than slightly on what is beyond.
        """

    def level(self, sound: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Bring sound to the level that the network wants; by default it stays as it is.

        Args:
            sound: ``(B, S)``, all of the sound or a part.
            mean, variance: of all of the sound, ``(B, 1)``.
        """
        return sound

    @torch.no_grad()
    def whole_frames(self, wave: Tensor) -> Tensor:
        """Level sound and fill it with zeros to whole video frames.

        Args:
            wave: 16 kHz mono ``(B, S)`` in ``[-1, 1]``.

        Returns:
            ``(B, 640 ceil(S / 640))`` for :meth:`piece`.

        Raises:
            ShapeError: when it is no batch of float samples, or holds none, NaN or infinity.
        """
        check_shape(wave, ("B", "S"), "wave")
        if not wave.is_floating_point():
            raise ShapeError(f"wave is {wave.dtype}, expected float in [-1, 1]; see talkingface.core.media.read_audio.")
        if not wave.shape[1]:
            raise ShapeError("wave holds zero samples; at least one is needed.")
        check_finite(wave, "wave")
        wave = wave.float()
        mean = wave.mean(1, keepdim=True)
        levelled = self.level(wave, mean, (wave - mean).square().mean(1, keepdim=True))
        return functional.pad(levelled, (0, -wave.shape[1] % SAMPLES))

    @property
    def piece_frames(self) -> int:
        """Video frames that a piece of long sound keeps."""
        return round(self.window * FPS) - 2 * round(self.context * FPS)

    def pieces(self, frames: int) -> int:
        """How many pieces sound of so many video frames is heard in."""
        return 1 if frames <= round(self.window * FPS) else -(-frames // self.piece_frames)

    def piece(self, sound: Tensor, index: int) -> Tensor:
        """Features of one piece.

        Args:
            sound: what :meth:`whole_frames` made, ``(B, 640 T)``.
            index: of the piece; it keeps the frames from ``index * piece_frames`` on.

        Returns:
            ``(B, L, kept * rate / 25, C)``.
        """
        frames = sound.shape[1] // SAMPLES
        if self.pieces(frames) == 1:
            return self.hear(sound, 0, frames)
        first = index * self.piece_frames
        last = min(first + self.piece_frames, frames)
        context = round(self.context * FPS)
        start = max(0, first - context)
        return self.hear(sound[:, start * SAMPLES : (last + context) * SAMPLES], first - start, last - start)

    @torch.no_grad()
    def hear(self, sound: Tensor, first: int, last: int) -> Tensor:
        """Features of some frames of sound that the network hears at once.

        Args:
            sound: levelled, of whole video frames, ``(B, 640 T)``.
            first, last: the first frame that is kept, and the one behind the last.

        Returns:
            ``(B, L, (last - first) * rate / 25, C)``.
        """
        steps = self.rate // FPS
        with torch.autocast(sound.device.type, enabled=False):  # cached features are those of full precision
            features = self.encode(sound)
        check_shape(features, ("B", self.layers, sound.shape[1] // SAMPLES * steps, self.channels), "features")
        return features[:, :, first * steps : last * steps]

    def features(self, wave: Tensor) -> Tensor:
        """16 kHz mono ``(B, S)`` → ``(B, L, Ta, C)``; see :meth:`AudioEncoder.features`.

        Raises:
            ShapeError: as :meth:`whole_frames`.
        """
        return torch.cat(list(self.walk(wave)), dim=2)

    def walk(self, wave: Tensor) -> Iterator[Tensor]:
        """The same features piece by piece, for sound whose features together would not fit into memory.

        Raises:
            ShapeError: as :meth:`whole_frames`.
        """
        sound = self.whole_frames(wave)
        for index in range(self.pieces(sound.shape[1] // SAMPLES)):
            yield self.piece(sound, index)

    def forward(self, features: Tensor, frames: int) -> Tensor:
        """Features ``(B, L, frames * rate / 25, C)`` → condition ``(B, frames, A)``; see :meth:`AudioEncoder.forward`.

        Raises:
            ShapeError: when the features are of another length or another encoder.
        """
        check_shape(features, ("B", self.layers, frames * self.rate // FPS, self.channels), "features")
        condition: Tensor = self.conformer(self.thinned(self._summed(features)))
        return condition

    def thinned(self, steps: Tensor) -> Tensor:
        """Steps ``(B, T * rate / 25, C)``, in the precision of the features → frames ``(B, T, A)``."""
        thin = self.downsample if self.rate == 2 * FPS else self.reduce
        frames: Tensor = thin(steps.to(next(thin.parameters()).dtype).mT).mT
        return frames

    def _summed(self, features: Tensor) -> Tensor:
        """Layers weighed by a softmax, ``(B, Ta, C)``; features of half precision are not widened before the sum."""
        if self.layers == 1:
            return features[:, 0]
        return torch.einsum("l,bltc->btc", self.layer_weights.softmax(0).to(features.dtype), features)

    def fingerprint(self) -> str:
        """See :meth:`AudioEncoder.fingerprint`."""
        about = [public_path(type(self)), self.convention, self.layers, self.channels, self.window, self.context]
        return hashlib.sha256(json.dumps([*about, *self.frozen_files()]).encode()).hexdigest()[:16]

    def frozen_files(self) -> list[str]:
        """Digests of the files that the frozen step reads; none by default."""
        return []


def _halve(channels: int, dim: int) -> nn.Conv1d:
    """Half as many steps (AniTalker's released code)."""
    return nn.Conv1d(channels, dim, kernel_size=3, stride=2, padding=1)
