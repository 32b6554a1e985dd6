"""A video with another speech: only the mouth follows, all else stays as it was filmed (ControlTalk, section 3.1)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.audio import FeatureStream
from talkingface.core.device import seeded
from talkingface.core.errors import MediaError
from talkingface.core.media import VideoReader
from talkingface.core.records import Condition
from talkingface.pipelines.animation import FPS, Frames, Rendering
from talkingface.pipelines.control_tracks import ControlTracks
from talkingface.pipelines.speech import speech_frames
from talkingface.pipelines.trail import FaceTrail

if TYPE_CHECKING:
    from talkingface.audio import SpeechEncoder
    from talkingface.pipelines.animator import Animator

AROUND = 12  # frames of speech on either side that encoders hear beside those that are drawn


class DubbedSpeech:
    """The speech that a video is given.

    Args:
        encoder: speech → condition.
        wave: 16 kHz mono ``(S,)`` in ``[-1, 1]``; every 640 samples begun are a frame.
        device: of the encoder.
    """

    def __init__(self, encoder: "SpeechEncoder", wave: NDArray[np.float32], device: torch.device) -> None:
        self.sound = wave
        self._encoder = encoder
        self._features = FeatureStream(encoder, torch.from_numpy(wave).to(device))

    def __len__(self) -> int:
        """Number of frames."""
        return speech_frames(self.sound)

    @torch.inference_mode()
    def heard(self, first: int, frames: int) -> Tensor:
        """Condition ``(1, n, A)`` of the frames from ``first`` on."""
        start, stop = max(0, first - AROUND), min(len(self), first + frames + AROUND)
        condition: Tensor = self._encoder(self._features.window(start, stop - start), stop - start)
        return condition[:, first - start : first - start + frames]


def edited(animator: "Animator", squares: Tensor, heard: Tensor, controls: Mapping[str, Tensor]) -> Frames:
    """Faces whose expressions a generator edits, each its own portrait.

    Args:
        animator: with a generator that edits.
        squares: ``(n, 3, size, size)`` in ``[-1, 1]``.
        heard: speech of these frames ``(1, n, A)``.
        controls: what the generator is to keep to, ``(1, n)`` each.

    Returns:
        ``(n, size, size, 3)``.
    """
    _, generator = animator.speech_parts()
    source = animator.renderer.appearance(squares)
    told = Condition(heard, source.motion[:1], source.identity[:1], controls, original=source.motion[None])
    return animator.render(source, generator.sample(told, seeded(0, animator.device))[0])  # an editor draws nothing


class Dubbing(Rendering):
    """A dubbed video, rendered while it is read: a batch of frames is held, and none is decoded twice.

    The result is as long as the speech. Of a longer video the end is cut; a shorter one goes back and forth, as in the
    released code. Frames without a face are kept as they are and counted in the notes, once they were rendered.

    Args:
        animator: with a generator that edits.
        source: the video, read at 25 frames a second.
        wave: the speech, 16 kHz mono ``(S,)``.
        controls: what the generator is to keep to.
        batch: frames that are rendered together.
        files: what is read, by what it is.

    Raises:
        MediaError: when the video cannot be read.
    """

    def __init__(
        self,
        animator: "Animator",
        source: Path,
        wave: NDArray[np.float32],
        controls: ControlTracks,
        batch: int,
        files: dict[str, Path],
    ) -> None:
        encoder, _ = animator.speech_parts()
        self._animator = animator
        self._clip = VideoReader(source, fps=FPS)
        self._speech = DubbedSpeech(encoder, wave, animator.device)
        self._controls = {name: track.to(animator.device)[None] for name, track in controls.tracks.items()}
        self._name, self._frames_at_once = source, batch
        self._known = (*_lengths(len(self._clip), len(self._speech)), *controls.notes)
        super().__init__(files, self._known)

    @property
    def sound(self) -> NDArray[np.float32]:
        """The speech."""
        return self._speech.sound

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._speech)

    def frames(self) -> Iterator[Frames]:
        """Render: frames ``(n, H, W, 3)`` of the video's size, up to a batch at a time.

        Raises:
            MediaError: when the video cannot be decoded further, or shows no face at all.
            WeightsError: when a frame comes out as NaN or infinite.
        """
        trail, done, faceless = FaceTrail(), 0, 0
        for frames in self._pictures():
            dubbed, found = self._dub(frames, done, trail)
            done, faceless = done + len(frames), faceless + len(frames) - found
            if done == len(self) and faceless == done:
                raise MediaError(f"no face found in any frame of {self._name}. Give a video of a visible face.")
            yield dubbed
        if faceless:
            self.notes = (*self._known, f"{faceless} of {done} frames show no face and are kept as they are.")

    def _pictures(self) -> Iterator[Frames]:
        """As many frames as the speech has: the video once, and then backwards and forwards."""
        done, last = 0, max(1, len(self._clip) - 1)
        for frames in self._clip.stream(self._frames_at_once):
            yield frames[: len(self) - done]
            done += len(frames)
            if done >= len(self):
                return
        for first in range(done, len(self), self._frames_at_once):
            turns = np.arange(first, min(first + self._frames_at_once, len(self))) % (2 * last)
            yield self._clip.read(np.minimum(np.minimum(turns, 2 * last - turns), len(self._clip) - 1).tolist())

    @torch.inference_mode()
    def _dub(self, frames: Frames, first: int, trail: FaceTrail) -> tuple[Frames, int]:
        """Frames with their mouths redrawn, and how many have a face."""
        found = [(place, face) for place, face in enumerate(trail.follow(frames)) if face is not None]
        if not found:
            return frames, 0
        animator, places = self._animator, [place for place, _ in found]
        size = animator.renderer.size
        squares = torch.cat([animator.prepare(face.cut(frames[place])[None], size) for place, face in found])
        heard = self._speech.heard(first, len(frames))[:, places]
        told = {name: track[:, first : first + len(frames)][:, places] for name, track in self._controls.items()}
        dubbed = frames.copy()
        for (place, face), drawn in zip(found, edited(animator, squares, heard, told), strict=True):
            face.paste(dubbed[place], drawn)
        return dubbed, len(found)


def _lengths(video: int, speech: int) -> tuple[str, ...]:
    if video == speech:
        return ()
    action = "its end is cut" if video > speech else "it goes back and forth"
    return (f"the video has {video} frames and the speech {speech}: {action}.",)
