"""Motion that a generator makes from speech, window by window, in the memory of a few seconds."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.audio import FeatureStream, SpeechEncoder
from talkingface.audio.speech_encoder import SAMPLES
from talkingface.core.device import seeded
from talkingface.core.errors import WeightsError
from talkingface.core.interfaces import MotionGenerator
from talkingface.core.records import Condition
from talkingface.pipelines.windows import Window, plan_windows, stream_motion


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
        self._encoder = encoder
        self._generator = generator
        self._start = start
        self._portrait = portrait
        self._controls = {name: track.to(start.device)[None] for name, track in controls.items()}
        self._seed = seed
        self._steps = steps
        self._guidance = guidance

    def __len__(self) -> int:
        """Number of frames."""
        return speech_frames(self.sound)

    def stream(self, batch: int) -> Iterator[Tensor]:
        """Motion ``(n, D)`` in order, up to ``batch`` frames at a time.

        Raises:
            WeightsError: when the generator draws values that are NaN or infinite.
            ConfigError: for steps or guidance that the generator does not know.
        """
        features = FeatureStream(self._encoder, torch.from_numpy(self.sound).to(self._start.device))
        draws = seeded(self._seed, self._start.device)

        def sample(window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
            return self._sample(window, start, prefix, features, draws)

        for motion in stream_motion(self.windows, self._start, sample):
            yield from motion[0].split(batch)

    @torch.inference_mode()
    def _sample(
        self, window: Window, start: Tensor, prefix: Tensor | None, features: FeatureStream, draws: torch.Generator
    ) -> Tensor:
        frames = slice(window.first, window.first + window.frames)
        audio = self._encoder(features.window(window.first, window.frames), window.frames)
        controls = {name: track[:, frames] for name, track in self._controls.items()}
        motion = self._generator.sample(
            Condition(audio, start, self._portrait, controls),
            draws,
            prefix=prefix,
            steps=self._steps,
            guidance=self._guidance,
        )
        if not torch.isfinite(motion).all():
            raise WeightsError(
                f"{type(self._generator).__name__} drew values that are NaN or infinite: its weights are broken. "
                f"Train, convert or copy the model again."
            )
        return motion


def speech_frames(wave: NDArray[np.float32]) -> int:
    """Frames at 25 a second that 16 kHz sound ``(S,)`` fills or begins."""
    return -(-len(wave) // SAMPLES)
