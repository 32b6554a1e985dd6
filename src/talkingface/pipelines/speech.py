"""Motion that a generator makes from speech, window by window, in the memory of a few seconds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.audio import FeatureStream, SpeechEncoder
from talkingface.audio.speech_encoder import FPS, SAMPLES
from talkingface.core.device import seeded
from talkingface.core.errors import WeightsError
from talkingface.core.interfaces import MotionGenerator
from talkingface.core.records import Condition
from talkingface.pipelines.windows import Window, plan_windows, stream_motion


@dataclass(frozen=True)
class Speaker:
    """What all windows of a speech share.

    Args:
        encoder: speech → condition.
        generator: condition → motion.
        portrait: code of the portrait ``(1, C)``.
        original: its motion ``(1, D)``.
        steps: of the generator's sampler.
        guidance: how much more than trained the condition counts.
    """

    encoder: SpeechEncoder
    generator: MotionGenerator
    portrait: Tensor
    original: Tensor
    steps: int
    guidance: float

    @torch.inference_mode()
    def speak(
        self,
        features: Tensor,
        controls: Mapping[str, Tensor],
        start: Tensor,
        prefix: Tensor | None,
        draws: torch.Generator,
    ) -> Tensor:
        """Motion of a window.

        Args:
            features: of its speech, ``(1, L, T * rate / 25, C)``.
            controls: tracks ``(1, T, …)`` that the generator is to follow.
            start: motion ``(1, D)`` of the frame before the first.
            prefix: motion ``(1, K, D)`` that its first frames have.
            draws: the random generator of the whole speech.

        Returns:
            ``(1, T, D)``.

        Raises:
            WeightsError: when the generator draws values that are NaN or infinite.
            ConfigError: for steps, guidance or controls that the generator does not know.
        """
        frames = features.shape[2] * FPS // self.encoder.rate
        audio = self.encoder(features, frames)
        original = self.original[:, None].expand(-1, frames, -1)
        motion = self.generator.sample(
            Condition(audio, start, self.portrait, controls, original=original),
            draws,
            prefix=prefix,
            steps=self.steps,
            guidance=self.guidance,
        )
        if not torch.isfinite(motion).all():
            raise WeightsError(
                f"{type(self.generator).__name__} drew values that are NaN or infinite: its weights are broken. "
                f"Train, convert or copy the model again."
            )
        return motion


class SpokenMotion:
    """What drives a portrait by speech: motion drawn for the sound, the same for every time it is streamed.

    Args:
        encoder: speech → condition.
        generator: condition → motion.
        wave: 16 kHz mono ``(S,)`` in ``[-1, 1]``; every 640 samples begun are a frame.
        start: motion of the portrait ``(1, D)``.
        portrait: its code ``(1, C)``.
        controls: tracks ``(T, …)`` that the generator is to follow.
        seed: of the one random generator that all windows draw from.
        steps: of the generator's sampler.
        guidance: how much more than trained the condition counts.
        files: what is read, by what it is.
        notes: what a user should know about the controls.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        generator: MotionGenerator,
        wave: NDArray[np.float32],
        *,
        start: Tensor,
        portrait: Tensor,
        controls: Mapping[str, Tensor],
        seed: int,
        steps: int,
        guidance: float,
        files: Mapping[str, Path],
        notes: tuple[str, ...],
    ) -> None:
        self.sound = wave
        self.files = files
        self.notes = notes
        self.windows = plan_windows(speech_frames(wave))
        self._speaker = Speaker(encoder, generator, portrait, start, steps, guidance)
        self._start = start
        self._controls = {name: track.to(start.device)[None] for name, track in controls.items()}
        self._seed = seed

    def __len__(self) -> int:
        """Number of frames."""
        return speech_frames(self.sound)

    def stream(self, batch: int) -> Iterator[Tensor]:
        """Motion ``(n, D)`` in order, up to ``batch`` frames at a time.

        Raises:
            WeightsError: when the generator draws values that are NaN or infinite.
            ConfigError: for steps or guidance that the generator does not know.
        """
        features = FeatureStream(self._speaker.encoder, torch.from_numpy(self.sound).to(self._start.device))
        draws = seeded(self._seed, self._start.device)

        def sample(window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
            heard = features.window(window.first, window.frames)
            controls = {name: track[:, window.first : window.last] for name, track in self._controls.items()}
            return self._speaker.speak(heard, controls, start, prefix, draws)

        for motion in stream_motion(self.windows, self._start, sample):
            yield from motion[0].split(batch)


def speech_frames(wave: NDArray[np.float32]) -> int:
    """Frames at 25 a second that 16 kHz sound ``(S,)`` fills or begins."""
    return -(-len(wave) // SAMPLES)
