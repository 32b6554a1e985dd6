"""Features of sound that is still being spoken."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.audio.speech_encoder import FPS, SAMPLES, SpeechEncoder
from talkingface.core.checks import check_finite, check_shape
from talkingface.core.errors import ConfigError, ShapeError


class LiveFeatures:
    """Samples in, features of video frames out, in the memory of some seconds.

    What is new in a window is heard from where its piece of the encoder's grid begins until ``ahead`` frames behind the
    window; what lies before the window is forgotten. So the features are those of a :class:`FeatureStream` of the whole
    sound, as far as the encoder's ``context`` promises, but for one thing: an encoder that levels sound (HuBERT) knows
    the level only of what it has heard so far. How the samples came in makes no difference, bit for bit.

    Args:
        encoder: whose features.
        ahead: frames of sound that a window waits for behind its end; by default the encoder's whole context. Fewer
            let it wait less, and change the features of its last frames.

    Attributes:
        frames: whole video frames that came in; at the end of the sound, also one that is begun.

    Raises:
        ConfigError: when ``ahead`` is negative.

    >>> from talkingface.audio import MelSpeech
    >>> live = LiveFeatures(MelSpeech(dim=8, blocks=0))
    >>> live.push(torch.zeros(16000))
    >>> live.frames, live.ahead, live.ready(24), live.ready(25)
    (25, 1, True, False)
    >>> live.window(20, 4).shape
    torch.Size([1, 1, 16, 80])
    """

    def __init__(self, encoder: SpeechEncoder, ahead: int | None = None) -> None:
        self.encoder = encoder
        self.context = round(encoder.context * FPS)
        self.ahead = self.context if ahead is None else ahead
        if self.ahead < 0:
            raise ConfigError(f"features cannot wait for {self.ahead} frames of sound; give 0 or more.")
        self.frames = 0
        self._samples = 0  # that came in
        self._finished = False
        self._sound: list[Tensor] = []  # what is held of them, in chunks
        self._sound_start = 0  # number of the first sample that is held
        self._features: Tensor | None = None
        self._first = self._last = 0  # frames whose features are held, and the one behind them
        self._counted = 0  # samples in the two sums
        self._sum = self._squares = 0.0

    @property
    def held(self) -> tuple[int, int]:
        """How many samples and how many frames of features are held."""
        return self._samples - self._sound_start, self._last - self._first

    def push(self, wave: Tensor) -> None:
        """Take in more sound.

        Args:
            wave: 16 kHz mono ``(S,)`` in ``[-1, 1]``, on the encoder's device; S may be 0.

        Raises:
            ShapeError: when it is no vector of finite float samples, or the sound has ended.
        """
        check_shape(wave, ("S",), "wave")
        if not wave.is_floating_point():
            raise ShapeError(f"wave is {wave.dtype}, expected float in [-1, 1].")
        check_finite(wave, "wave")
        if self._finished:
            raise ShapeError("samples came in behind the end of the sound; open another stream for them.")
        self._sound.append(wave.float())
        self._samples += len(wave)
        self.frames = self._samples // SAMPLES

    def finish(self) -> None:
        """Say that the sound has ended; a frame that is begun is filled with zeros."""
        self._finished = True
        self.frames = -(-self._samples // SAMPLES)

    def ready(self, last: int) -> bool:
        """Whether enough came in for features up to the frame before ``last``."""
        return last <= self.frames - (0 if self._finished else self.ahead)

    def window(self, first: int, frames: int) -> Tensor:
        """Features of some video frames; those before them are forgotten.

        Args:
            first: number of the first frame.
            frames: how many, at least one.

        Returns:
            ``(1, L, frames * rate / 25, C)``.

        Raises:
            ShapeError: when the frames are forgotten or not there yet.
        """
        last = first + frames
        if not self._first <= first < last or not self.ready(last):
            raise ShapeError(
                f"frames {first} to {last - 1} were asked for; frames before {self._first} are forgotten, and "
                f"{self.frames} came in, of which {self.ahead} are waited for."
            )
        steps = self.encoder.rate // FPS
        while self._last < last:
            until = min(last, (self._last // self.encoder.piece_frames + 1) * self.encoder.piece_frames)
            heard = self._hear(self._last, until)
            self._features = heard if self._features is None else torch.cat([self._features, heard], dim=2)
            self._last = until
        assert self._features is not None
        self._features = self._features[:, :, (first - self._first) * steps :].clone()  # a view would hold all
        self._first = first
        return self._features[:, :, : frames * steps]

    @torch.no_grad()
    def _hear(self, first: int, last: int) -> Tensor:
        """Features of frames that are new."""
        start, stop = self._begin(first), min(self.frames, last + self.ahead)
        held = torch.cat(self._sound)
        sound = held[start * SAMPLES - self._sound_start : stop * SAMPLES - self._sound_start]
        mean, variance = self._level(held[self._counted - self._sound_start : stop * SAMPLES - self._sound_start])
        levelled = self.encoder.level(sound[None], mean, variance)
        whole = functional.pad(levelled, (0, (stop - start) * SAMPLES - len(sound)))
        needed = self._begin(last) * SAMPLES
        self._sound, self._sound_start = [held[needed - self._sound_start :].clone()], needed
        return self.encoder.hear(whole, first - start, last - start)

    def _begin(self, frame: int) -> int:
        """From which frame on the network hears a frame."""
        size = self.encoder.piece_frames
        return max(0, frame // size * size - self.context)

    def _level(self, fresh: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance ``(1, 1)`` of all that was heard, to which samples are added; in float64."""
        precise = fresh.double()
        self._counted += len(fresh)
        self._sum += precise.sum().item()
        self._squares += precise.square().sum().item()
        mean = self._sum / self._counted
        variance = max(0.0, self._squares / self._counted - mean * mean)
        return fresh.new_tensor([[mean]]), fresh.new_tensor([[variance]])
