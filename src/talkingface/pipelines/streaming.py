"""A portrait that moves while somebody speaks: samples in, frames out, a fraction of a second later."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.audio import LiveFeatures
from talkingface.audio.speech_encoder import SAMPLES
from talkingface.core.device import seeded
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.media.audio import check_wave
from talkingface.pipelines.animator import Animator
from talkingface.pipelines.control_tracks import read_controls
from talkingface.pipelines.emotions import Emotion, read_emotion
from talkingface.pipelines.portrait import Crop
from talkingface.pipelines.sitter import Sitter
from talkingface.pipelines.speech import Speaker
from talkingface.pipelines.windows import LIVE, LivePlan, MotionChain, Window

BATCH = 8  # frames rendered together at most

_log = logging.getLogger(__name__)


class LiveMotion:
    """Motion that a generator makes while speech comes in.

    How the samples come in makes no difference, bit for bit. The motion is that of
    :class:`talkingface.pipelines.speech.SpokenMotion` with the windows of the same plan, as far as the features are the
    same (see :class:`talkingface.audio.LiveFeatures`). What is held does not grow with the speech.

    Args:
        speaker: what all windows share.
        start: motion of the portrait ``(1, D)``.
        controls: what the generator is to keep to: values ``(1, …)`` of one frame that hold for all.
        seed: of the one random generator that all windows draw from.
        plan: the windows.
        ahead: frames of sound that the features wait for, see :class:`talkingface.audio.LiveFeatures`.

    Attributes:
        features: of the speech.
        frames: how many came out.
    """

    def __init__(
        self,
        speaker: Speaker,
        start: Tensor,
        controls: Mapping[str, Tensor],
        *,
        seed: int = 0,
        plan: LivePlan = LIVE,
        ahead: int | None = None,
    ) -> None:
        self.features = LiveFeatures(speaker.encoder, ahead)
        self.frames = 0
        self._speaker = speaker
        self._controls = {name: value.to(start.device)[None] for name, value in controls.items()}
        self._draws = seeded(seed, start.device)
        self._plan = plan
        self._number = 0  # of the next window
        self._chain = MotionChain(start, self._sample)
        self._none = start[:0]

    def push(self, wave: Tensor) -> Tensor:
        """Take in speech.

        Args:
            wave: 16 kHz mono ``(S,)`` in ``[-1, 1]``, S may be 0.

        Returns:
            Motion ``(n, D)`` of the next frames, none until enough was heard.

        Raises:
            ShapeError: when it is no vector of finite samples, or the speech has ended.
            WeightsError, ConfigError: as :meth:`talkingface.pipelines.speech.Speaker.speak`.
        """
        parts = [self._none]
        for part in wave.split(self._plan.hop * SAMPLES):  # so that a long chunk is not held as a whole
            self.features.push(part)
            while self.features.ready((window := self._plan.window(self._number)).last):
                parts.append(self._extend(window))
        return torch.cat(parts)

    def finish(self) -> Tensor:
        """The speech has ended: motion ``(n, D)`` of the frames that are left, one for every 40 ms begun."""
        parts = [self._none]
        self.features.finish()
        while self._number * self._plan.hop < self.features.frames:
            parts.append(self._extend(self._plan.window(self._number, self.features.frames)))
        return torch.cat(parts)

    def _extend(self, window: Window) -> Tensor:
        motion = self._chain.extend(window)[0]
        self._number += 1
        self.frames += len(motion)
        return motion

    def _sample(self, window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
        heard = self.features.window(window.first, window.frames)
        controls = {name: value.expand(1, window.frames, *value.shape[2:]) for name, value in self._controls.items()}
        return self._speaker.speak(heard, controls, start, prefix, self._draws)


class SpeechStream:
    """A portrait that speaks live: all that depends on it alone is computed here, once.

    Args:
        animator: a model that speech can drive.
        source: the portrait: a picture, a video of which the first frame is taken, or uint8 ``(H, W, 3)``.
        seed: the same seed gives the same frames on the same machine, however the samples come in.
        pose: yaw, pitch and roll that the head keeps, in degrees.
        location: x of the nose tip over the width of the crop, that the head keeps.
        scale: distance from inner brows to chin over the height of the crop, that the head keeps.
        mouth: how far the mouth follows the speech, see :meth:`talkingface.Animator.animate`.
        emotion: that the face keeps: a name, a vector ``(E,)``, or a picture or clip of anybody who shows it; see
            :func:`talkingface.pipelines.emotions.read_emotion`. By default it is heard in the speech.
        strength: of the emotion, 0 (neutral) to 1.5.
        steps: of the motion generator's sampler. 10 of a trained tiny model made motion that is off that of 50 by 4 %
            of its deviation (``benchmarks/sampler_steps.py``).
        guidance: how much more than trained the speech counts; 1 is as trained.
        crop: the square that is animated, see :func:`talkingface.pipelines.portrait.read_portrait`.
        paste_back: put the animated square back into the full picture, stitched where the model can do that.
        plan: how many frames are made together, and how much later than spoken.
        ahead: frames of sound after a frame that its features wait for. By default as many as they depend on, which is
            1 for log-mel and MFCC, and 75, three seconds, for HuBERT and Whisper; these do with fewer, less exactly.

    Attributes:
        size: height and width of the frames.
        delay: seconds from a spoken frame to the last sample that is needed to show it, at most.
        notes: what a user should know: the face that was chosen, a pose that is far …

    Raises:
        MediaError: when the portrait cannot be read or shows no face.
        ConfigError: when speech cannot drive the model, or for controls that it does not know or that are out of range.

    Example::

        stream = SpeechStream(animator, "face.jpg")
        for samples in microphone:  # 16 kHz mono, any number at a time
            show(stream.push(samples))
        show(stream.finish())
    """

    def __init__(
        self,
        animator: Animator,
        source: str | Path | NDArray[np.uint8],
        *,
        seed: int = 0,
        pose: Sequence[float] | None = None,
        location: float | None = None,
        scale: float | None = None,
        mouth: float | None = None,
        emotion: Emotion | None = None,
        strength: float = 1.0,
        steps: int = 10,
        guidance: float = 1.0,
        crop: Crop = "auto",
        paste_back: bool = False,
        plan: LivePlan = LIVE,
        ahead: int | None = None,
    ) -> None:
        encoder, generator = animator.speech_parts()
        given = {"pose": pose, "location": location, "scale": scale, "mouth": mouth}
        asked = {name: value for name, value in given.items() if value is not None}
        told = read_controls(asked, 1, generator.attributes)
        controls = dict(told.tracks)
        if emotion is not None:
            if Path(str(emotion)).suffix.lower() == ".csv":
                raise ConfigError(f"{emotion} changes over time; a live face keeps a name, a vector or a picture.")
            controls["emotion"] = read_emotion(emotion, strength, 1, generator, animator.motion, crop).values
        self._device = animator.device
        self._sitter = Sitter(animator, source, crop=crop, paste_back=paste_back)
        speaker = Speaker(encoder, generator, self._sitter.code(), self._sitter.seen.motion, steps, guidance)
        self.motion = LiveMotion(speaker, self._sitter.seen.motion, controls, seed=seed, plan=plan, ahead=ahead)
        self.delay = plan.delay(self.motion.features.ahead)
        self.size = self._sitter.size
        self.notes = (*self._sitter.notes, *told.notes)
        for note in self.notes:
            _log.warning(note)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Take in speech.

        Args:
            samples: 16 kHz mono ``(S,)`` in ``[-1, 1]``, any number of them; beyond the limits they are clipped.

        Returns:
            The next frames ``(n, H, W, 3)``, none until enough was heard.

        Raises:
            ShapeError: when the samples are no vector of finite floats, or come after :meth:`finish`.
            WeightsError: when motion or a frame comes out as NaN or infinite.
        """
        if not np.issubdtype(samples.dtype, np.floating):
            raise ShapeError(f"samples are {samples.dtype}, expected float in [-1, 1]; divide 16-bit ones by 32768.")
        check_wave(samples)
        wave = torch.from_numpy(np.clip(samples, -1.0, 1.0).astype(np.float32))
        return self._drawn(self.motion.push(wave.to(self._device)))

    def finish(self) -> NDArray[np.uint8]:
        """The speech has ended: the frames ``(n, H, W, 3)`` that are left, one for every 40 ms begun."""
        return self._drawn(self.motion.finish())

    def _drawn(self, motion: Tensor) -> NDArray[np.uint8]:
        frames = [np.empty((0, *self.size, 3), np.uint8)]
        frames += [self._sitter.draw(part) for part in motion.split(BATCH)] if len(motion) else []
        return np.concatenate(frames)
