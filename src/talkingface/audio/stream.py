"""Features of sound of any length in the memory of some seconds."""

import torch
from torch import Tensor

from talkingface.audio.speech_encoder import FPS, SAMPLES, SpeechEncoder
from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError


class FeatureStream:
    """The features of a long sound, found when they are asked for and forgotten when they are left behind.

    Only the pieces that the last window needed are held: walking through a sound computes each piece once. The features
    are those of :meth:`SpeechEncoder.features` of the whole sound.

    Args:
        encoder: whose features.
        wave: 16 kHz mono ``(S,)`` in ``[-1, 1]``, on the encoder's device.

    Attributes:
        frames: whole video frames of the sound.

    Raises:
        ShapeError: when the sound is no vector of finite float samples.

    >>> from talkingface.audio import MelSpeech
    >>> stream = FeatureStream(MelSpeech(dim=8, blocks=0), torch.zeros(16000))
    >>> stream.frames, stream.window(20, 5).shape
    (25, torch.Size([1, 1, 20, 80]))
    """

    def __init__(self, encoder: SpeechEncoder, wave: Tensor) -> None:
        check_shape(wave, ("S",), "wave")
        self.encoder = encoder
        self._sound = encoder.whole_frames(wave[None])
        self.frames = self._sound.shape[1] // SAMPLES
        self._held: dict[int, Tensor] = {}

    def window(self, first: int, frames: int) -> Tensor:
        """Features of some video frames.

        Args:
            first: number of the first frame.
            frames: how many, at least one.

        Returns:
            ``(1, L, frames * rate / 25, C)``.

        Raises:
            ShapeError: when the frames lie outside the sound.
        """
        last = first + frames
        if not 0 <= first < last <= self.frames:
            raise ShapeError(
                f"frames {first} to {last - 1} were asked for; the sound has frames 0 to {self.frames - 1}."
            )
        single = self.encoder.pieces(self.frames) == 1
        size = self.frames if single else self.encoder.piece_frames
        needed = range(first // size, (last - 1) // size + 1)
        self._held = {
            index: self._held[index] if index in self._held else self.encoder.piece(self._sound, index)
            for index in needed
        }
        steps = self.encoder.rate // FPS
        joined = torch.cat(list(self._held.values()), dim=2)
        start = (first - needed[0] * size) * steps
        return joined[:, :, start : start + frames * steps]
