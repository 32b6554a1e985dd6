"""Move a portrait after a driving video or by speech: encoded once, rendered in batches, streamed to the file."""

import functools
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.audio import SpeechEncoder
from talkingface.core.device import resolve_device
from talkingface.core.errors import ConfigError, MediaError, ShapeError, WeightsError
from talkingface.core.images import center_square, resize, to_float, to_uint8
from talkingface.core.interfaces import ControlReader, MotionEncoder, MotionGenerator, Renderer
from talkingface.core.media import is_picture, read_audio
from talkingface.core.media.audio import check_wave
from talkingface.core.media.paths import input_file
from talkingface.core.records import Source
from talkingface.generators import check_made_for
from talkingface.hub import load_model
from talkingface.motion import Retargeting
from talkingface.motion.driving import Region
from talkingface.pipelines.animation import Animation, MotionTrack
from talkingface.pipelines.control_tracks import Control, ControlTracks, read_controls
from talkingface.pipelines.driven import DrivenMotion, following
from talkingface.pipelines.dubbing import DubbedSpeech, Dubbing, edited
from talkingface.pipelines.emotions import Emotion, read_emotion
from talkingface.pipelines.face import Landmarks, find_landmarks
from talkingface.pipelines.portrait import Crop, read_portrait
from talkingface.pipelines.sitter import Sitter
from talkingface.pipelines.speech import SpokenMotion, speech_frames

_log = logging.getLogger(__name__)


class Animator:
    """A motion encoder and the renderer that renders its motion, ready on a device; with two more parts, by speech.

    Args:
        motion_encoder: reads the motion of the driving frames.
        renderer: draws the portrait with that motion; a fused copy is made of one that has such a form.
        audio_encoder: hears speech.
        motion_generator: makes motion from it.
        retargeting: corrects moving keypoints: stitching, eyes and lips.
        device: ``"auto"``, or any name that :func:`talkingface.core.device.resolve_device` knows.
        dtype: in which a renderer draws that has a fused form; others draw in float32.

    Raises:
        ConfigError: when the motion generator makes another motion than the renderer takes, or the retargeting is of
            another number of keypoints.
    """

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        renderer: Renderer,
        audio_encoder: SpeechEncoder | None = None,
        motion_generator: MotionGenerator | None = None,
        retargeting: Retargeting | None = None,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device = resolve_device(str(device))
        self.motion_encoder = motion_encoder.to(self.device).eval()
        self.renderer = renderer.to(self.device).eval()
        self.audio_encoder = None if audio_encoder is None else audio_encoder.to(self.device).eval()
        self.motion_generator = None if motion_generator is None else motion_generator.to(self.device).eval()
        self.retargeting = None if retargeting is None else retargeting.to(self.device).eval()
        self.dtype = dtype
        spec = motion_encoder.spec
        if motion_generator is not None:
            check_made_for(spec, motion_generator.spec.dim, "the motion generator")
        if retargeting is not None and (spec.convention is None or retargeting.keypoints != spec.num_keypoints):
            raise ConfigError(
                f"retargeting corrects {retargeting.keypoints} keypoints, and the motion of "
                f"{type(motion_encoder).__name__} places {spec.num_keypoints if spec.convention else 'none'}. "
                "Give the part that was trained with this motion encoder, or none."
            )

    @functools.cached_property
    def drawing(self) -> Renderer:
        """What draws: the renderer, in its fused form where it has one; made when first needed."""
        return self.renderer.fused(self.dtype)

    def animate(
        self,
        source: str | Path | NDArray[np.uint8],
        *,
        driving: str | Path | None = None,
        audio: str | Path | NDArray[np.float32] | None = None,
        seed: int = 0,
        pose: Control | None = None,
        location: Control | None = None,
        scale: Control | None = None,
        mouth: Control | None = None,
        controls: ControlReader | None = None,
        emotion: Emotion | None = None,
        strength: float | None = None,
        steps: int = 50,
        guidance: float = 1.0,
        relative: bool | None = None,
        region: Region = "all",
        crop_driving: bool = False,
        crop: Crop = "auto",
        paste_back: bool = False,
        stitch: bool | None = None,
        eyes: float | None = None,
        lips: float | None = None,
        landmarks: Landmarks = find_landmarks,
        batch: int = 8,
    ) -> Animation:
        """Prepare an animation by a driving video or by speech; the frames are rendered when they are asked for.

        Args:
            source: the portrait: a picture, a video of which the first frame is taken, or uint8 ``(H, W, 3)``.
            driving: the video whose motion it takes over, read at 25 frames a second; its centre square is seen. Or a
                picture, for an animation of one frame.
            audio: the speech, of any length: any file with sound, or 16 kHz mono samples ``(S,)`` in ``[-1, 1]``.
            seed: of speech-driven motion; the same seed gives the same motion on the same machine.
            pose: yaw, pitch, roll of the head in degrees, up to ±90: three numbers, a track ``(T, 3)``, a CSV file or a
                video; see :func:`talkingface.pipelines.control_tracks.read_controls`, also for the next two.
            location: x of the nose tip over the width of the crop.
            scale: distance from inner brows to chin over the height of the crop.
            mouth: how far the mouth follows the speech, where the generator edits an expression (ControlTalk's alpha):
                0 leaves it closed, 0.5 is usual, above 1 exaggerates, 3 is the limit; a number, a track or a CSV file.
            controls: finds these tracks in a video.
            emotion: of speech-driven motion: a name, a vector, a picture or clip that shows it, or a CSV file; see
                :func:`talkingface.pipelines.emotions.read_emotion`. ``None`` leaves it to the speech.
            strength: of the emotion, 0 (neutral) to 1.5; by default 1.
            steps: of the motion generator's sampler; fewer are faster.
            guidance: how much more than trained the speech counts; 1 is as trained.
            relative: add the motion since the first driving frame to the portrait's own (LIA, section 3.3), instead of
                taking it over as it is; the first driving frame should then look like the portrait. ``None``:
                relative where the motion places keypoints, as their methods were published, else as it is.
            region: what follows the driving, where the motion places keypoints: ``"all"``, ``"expression"``,
                ``"pose"``, ``"lips"`` or ``"eyes"``.
            crop_driving: see a fixed square round the face of the driving video instead of its centre square, cut by
                the rule of ``crop``.
            crop: the square that is animated, see :func:`talkingface.pipelines.portrait.read_portrait`.
            paste_back: put the animated square back into the full picture.
            stitch: leave the shoulders in place, by the model's retargeting part; ``None``: when pasting back, where
                there is one.
            eyes, lips: how far both eyes and the lips are open, height over width, 0 to 0.8, by the same part; what
                drives them moves them from there.
            landmarks: finds 68 points in pictures, where one of these options needs them.
            batch: frames rendered together.

        Raises:
            MediaError: when a file cannot be read, or the portrait shows no face.
            ShapeError: when ``source`` or ``audio`` is an array of another kind.
            ConfigError: when not exactly one of ``driving`` and ``audio`` is given, the model cannot be driven by
                speech or told what the controls say, cannot be stitched or opened, or ``batch`` is less than 1.
        """
        if batch < 1:
            raise ConfigError(f"a batch of {batch} frames cannot be rendered; give 1 or more.")
        if (driving is None) == (audio is None):
            raise ConfigError("an animation needs either a driving video or audio, and not both.")
        for file in (driving, audio):
            if isinstance(file, str | Path):
                input_file(file)  # a missing one is told before a face is looked for
        given = {"pose": pose, "location": location, "scale": scale, "mouth": mouth}
        asked = {name: control for name, control in given.items() if control is not None}
        if emotion is None and strength is not None:
            raise ConfigError("a strength is of an emotion; ask for one.")
        sitter = Sitter(
            self,
            source,
            crop=crop,
            paste_back=paste_back,
            stitch=stitch,
            eyes=eyes,
            lips=lips,
            landmarks=landmarks,
        )
        motion: MotionTrack
        if driving is not None:
            if told := [*asked, *(["emotion"] if emotion is not None else [])]:
                raise ConfigError(f"{', '.join(told)} can be asked of speech-driven motion, not of a driving video.")
            still = is_picture(driving)
            follow = following(self.motion_encoder.spec, sitter.seen, relative=relative, region=region, still=still)
            motion = driven = DrivenMotion(driving, self.motion, follow)
            if crop_driving:
                driven.crop(crop, landmarks)
        else:
            assert audio is not None
            if relative or region != "all" or crop_driving:
                raise ConfigError(
                    "relative motion, a region and a crop of the driving belong to a driving video; speech moves the "
                    "whole face and starts from the portrait anyway."
                )
            felt = None if emotion is None else (emotion, 1.0 if strength is None else strength)
            motion = self._spoken(audio, asked, controls, felt, sitter, crop, seed, steps, guidance)
        notes = (*sitter.notes, *motion.notes)
        for note in notes:
            _log.warning(note)
        return Animation(motion, sitter.draw, batch, {**motion.files, **sitter.files}, notes)

    def dub(
        self,
        source: str | Path,
        audio: str | Path | NDArray[np.float32],
        *,
        mouth: Control | None = None,
        batch: int = 8,
    ) -> Dubbing:
        """Prepare a video with another speech; the frames are rendered when they are asked for.

        Args:
            source: the video, read at 25 frames a second. Of several faces the largest is followed.
            audio: the speech, as for :meth:`animate`; the result is as long as it is, see :class:`Dubbing`.
            mouth: how far the mouth follows the speech, as for :meth:`animate`.
            batch: frames rendered together.

        Raises:
            MediaError: when a file cannot be read.
            ShapeError: when ``audio`` is an array of another kind.
            ConfigError: when the model's generator does not edit motion, for a mouth out of range, or ``batch`` is less
                than 1.
        """
        if batch < 1:
            raise ConfigError(f"a batch of {batch} frames cannot be rendered; give 1 or more.")
        generator = self._editor()
        given, files = input_file(source), {"video": Path(source)}
        wave = _checked(audio) if isinstance(audio, np.ndarray) else read_audio(audio)
        files |= {} if isinstance(audio, np.ndarray) else {"speech": Path(audio)}
        told = read_controls({} if mouth is None else {"mouth": mouth}, speech_frames(wave), generator.attributes)
        dubbing = Dubbing(self, given, wave, told, batch, files | dict(told.files))
        for note in dubbing.notes:
            _log.warning(note)
        return dubbing

    @torch.inference_mode()
    def redub(
        self,
        frames: NDArray[np.uint8],
        audio: NDArray[np.float32],
        /,
        *,
        mouth: Control | None = None,
        batch: int = 8,
    ) -> NDArray[np.uint8]:
        """Faces in memory with another speech, redrawn as a whole; :meth:`dub` finds them in a file and pastes them.

        Args:
            frames: faces that fill their pictures, uint8 ``(T, H, W, 3)`` at 25 fps.
            audio: 16 kHz mono ``(S,)`` in ``[-1, 1]``, T frames long.
            mouth: as for :meth:`animate`.
            batch: frames rendered together.

        Returns:
            ``(T, size, size, 3)``.

        Raises:
            ConfigError: when the model's generator does not edit motion, and for a mouth out of range.
            ShapeError: when speech and frames are not of one length.
        """
        generator, encoder = self._editor(), self.speech_parts()[0]
        speech = DubbedSpeech(encoder, _checked(audio), self.device)
        if len(speech) != len(frames):
            raise ShapeError(f"there are {len(frames)} frames, and speech for {len(speech)}.")
        told = read_controls({} if mouth is None else {"mouth": mouth}, len(frames), generator.attributes)
        tracks = {name: track.to(self.device)[None] for name, track in told.tracks.items()}
        drawn = []
        for first in range(0, len(frames), batch):
            some = slice(first, first + batch)
            squares = self.prepare(frames[some], self.renderer.size)
            now = {name: track[:, some] for name, track in tracks.items()}
            drawn.append(edited(self, squares, speech.heard(first, len(squares)), now))
        return np.concatenate(drawn)

    @torch.inference_mode()
    def appearance(self, source: str | Path | NDArray[np.uint8]) -> Source:
        """Encode the centre square of a portrait: a file, or uint8 ``(H, W, 3)``."""
        image = self.prepare(read_portrait(source, "none").square[None], self.renderer.size)
        seen = self.renderer.appearance(image)
        if seen.canonical is None and self.motion_encoder.spec.convention is not None:  # a renderer that needs none
            return replace(seen, canonical=self.motion_encoder.canonical(image))
        return seen

    @torch.inference_mode()
    def motion(self, frames: NDArray[np.uint8]) -> Tensor:
        """Motion ``(n, D)`` of frames ``(n, H, W, 3)``."""
        trunk = self.motion_encoder.image_encoder
        size = self.renderer.size if trunk is None else trunk.size
        motion: Tensor = self.motion_encoder(self.prepare(frames, size))
        return motion

    @torch.inference_mode()
    def render(self, source: Source, motion: Tensor) -> NDArray[np.uint8]:
        """Draw one portrait with motion ``(n, D)``: frames ``(n, size, size, 3)``.

        Raises:
            WeightsError: when a frame comes out as NaN or infinite.
            MediaError: when motion is measured, and there is no face to measure.
        """
        if self.motion_encoder.labels and torch.cat((source.motion, motion)).isnan().any():
            where = "the portrait" if source.motion.isnan().any() else "the first frames of the driving video"
            raise MediaError(f"no face is found in {where}, so there is no motion to measure. Give other pictures.")
        image = self.drawing(source.expand(len(motion)), motion).image
        if not torch.isfinite(image).all():
            raise WeightsError(
                f"{type(self.renderer).__name__} drew values that are NaN or infinite: its weights are broken. "
                f"Train, convert or copy the model again."
            )
        return to_uint8(image).cpu().numpy()

    def prepare(self, frames: NDArray[np.uint8], size: int) -> Tensor:
        """Centre square of frames ``(n, H, W, 3)`` on the device, ``(n, 3, size, size)`` in ``[-1, 1]``."""
        pixels = torch.as_tensor(center_square(frames)).to(self.device)
        return resize(to_float(pixels), size)

    def speech_parts(self) -> tuple[SpeechEncoder, MotionGenerator]:
        """What makes motion from speech.

        Raises:
            ConfigError: when the model has no such parts.
        """
        if self.audio_encoder is None or self.motion_generator is None:
            raise ConfigError(
                "this model has no audio encoder and motion generator, so speech cannot drive it. Train both on it "
                "('talkingface list' names the recipes of stage 2), export the result, and give that model."
            )
        return self.audio_encoder, self.motion_generator

    def _editor(self) -> MotionGenerator:
        """The generator, which must edit."""
        _, generator = self.speech_parts()
        if not generator.edits:
            raise ConfigError(
                f"{type(generator).__name__} makes motion anew and cannot dub a video. Give a model that edits motion "
                "(ControlTalk's), or animate a picture."
            )
        return generator

    def _spoken(
        self,
        audio: str | Path | NDArray[np.float32],
        asked: Mapping[str, Control],
        controls: ControlReader | None,
        felt: tuple[Emotion, float] | None,
        sitter: Sitter,
        crop: Crop,
        seed: int,
        steps: int,
        guidance: float,
    ) -> SpokenMotion:
        encoder, generator = self.speech_parts()
        wave = _checked(audio) if isinstance(audio, np.ndarray) else read_audio(audio)
        frames = speech_frames(wave)
        told = read_controls(asked, frames, generator.attributes, controls)
        if felt is not None:
            emotion = read_emotion(*felt, frames, generator, self.motion, crop)
            tracks, files = {**told.tracks, "emotion": emotion.values}, {**told.files, **emotion.files}
            told = ControlTracks(tracks, files, (*told.notes, *emotion.notes))
        return SpokenMotion(
            encoder,
            generator,
            wave,
            start=sitter.seen.motion,
            portrait=sitter.code(),
            controls=told.tracks,
            seed=seed,
            steps=steps,
            guidance=guidance,
            files=told.files if isinstance(audio, np.ndarray) else {"speech": Path(audio), **told.files},
            notes=told.notes,
        )


def load(
    name_or_folder: str | Path, device: str | torch.device = "auto", dtype: torch.dtype = torch.float32
) -> Animator:
    """Load a model that can animate.

    Args:
        name_or_folder: a model folder, or ``owner/name`` on the Hugging Face Hub.
        device: where to compute; ``"auto"`` takes a GPU where there is one.
        dtype: in which to draw, see :class:`Animator`.

    Raises:
        WeightsError: when there is no such model, or its files do not fit.
        ConfigError: when the model has no motion encoder or no renderer.
        DeviceError: when the machine has no such device.
    """
    resolve_device(str(device))  # before time is spent on weights
    parts = load_model(name_or_folder)
    encoder, renderer = parts.get("motion_encoder"), parts.get("renderer")
    if not isinstance(encoder, MotionEncoder) or not isinstance(renderer, Renderer):
        raise ConfigError(
            f"{name_or_folder} cannot animate: it needs a motion_encoder and a renderer, and has {', '.join(parts)}."
        )
    retargeting = parts.get("retargeting")
    corrected = retargeting if isinstance(retargeting, Retargeting) else None
    hearing, generator = parts.get("audio_encoder"), parts.get("motion_generator")
    if not isinstance(hearing, SpeechEncoder) or not isinstance(generator, MotionGenerator):
        hearing, generator = None, None
    return Animator(encoder, renderer, hearing, generator, corrected, device, dtype)


def _checked(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    check_wave(wave)
    if not len(wave):
        raise MediaError("there are zero samples of speech.")
    return np.clip(wave, -1.0, 1.0).astype(np.float32)
