"""Move a portrait after a driving video: encoded once, rendered in batches, streamed to the file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.device import resolve_device
from talkingface.core.errors import ConfigError, MediaError, ShapeError, WeightsError
from talkingface.core.images import center_square, resize, to_float, to_uint8
from talkingface.core.interfaces import MotionEncoder, Renderer
from talkingface.core.media import VideoReader, VideoWriter, is_video, read_picture
from talkingface.core.records import Source
from talkingface.hub import load_model

FPS = 25.0

Progress = Callable[[int, int], None]


class Animator:
    """A motion encoder and the renderer that renders its motion, ready on a device.

    Args:
        motion_encoder: reads the motion of the driving frames.
        renderer: draws the portrait with that motion.
        device: ``"auto"``, or any name that :func:`talkingface.core.device.resolve_device` knows.
    """

    def __init__(self, motion_encoder: MotionEncoder, renderer: Renderer, device: str | torch.device = "auto") -> None:
        self.device = resolve_device(str(device))
        self.motion_encoder = motion_encoder.to(self.device).eval()
        self.renderer = renderer.to(self.device).eval()

    def animate(
        self, source: str | Path | NDArray[np.uint8], *, driving: str | Path, relative: bool = False, batch: int = 8
    ) -> "Animation":
        """Prepare an animation; the frames are rendered when they are asked for.

        Pictures and clips that are not square are cropped to the centre.

        Args:
            source: the portrait: a picture, a video of which the first frame is taken, or uint8 ``(H, W, 3)``.
            driving: the video whose motion it takes over, read at 25 frames a second.
            relative: add the motion since the first driving frame to the portrait's own (LIA, section 3.3), instead
                of taking it over as it is; the first driving frame should then look like the portrait.
            batch: frames rendered together.

        Raises:
            MediaError: when a file cannot be read.
            ShapeError: when ``source`` is an array of another kind.
            ConfigError: when ``batch`` is less than 1.
        """
        if batch < 1:
            raise ConfigError(f"a batch of {batch} frames cannot be rendered; give 1 or more.")
        reader = VideoReader(driving, fps=FPS)
        return Animation(self, self.appearance(source), reader, relative, batch)

    @torch.inference_mode()
    def appearance(self, source: str | Path | NDArray[np.uint8]) -> Source:
        """Encode a portrait; see :meth:`animate`."""
        picture = source if isinstance(source, np.ndarray) else _read_portrait(source)
        if picture.ndim != 3:
            raise ShapeError(f"the portrait has shape {picture.shape}, expected uint8 (H, W, 3).")
        return self.renderer.appearance(self._prepare(picture[None], self.renderer.size))

    @torch.inference_mode()
    def motion(self, frames: NDArray[np.uint8]) -> Tensor:
        """Motion ``(n, D)`` of frames ``(n, H, W, 3)``."""
        trunk = self.motion_encoder.image_encoder
        size = self.renderer.size if trunk is None else trunk.size
        motion: Tensor = self.motion_encoder(self._prepare(frames, size))
        return motion

    @torch.inference_mode()
    def render(self, source: Source, motion: Tensor) -> NDArray[np.uint8]:
        """Draw one portrait with motion ``(n, D)``: frames ``(n, size, size, 3)``.

        Raises:
            WeightsError: when a frame comes out as NaN or infinite.
        """
        image = self.renderer(source.expand(len(motion)), motion).image
        if not torch.isfinite(image).all():
            raise WeightsError(
                f"{type(self.renderer).__name__} drew values that are NaN or infinite: its weights are broken. "
                f"Train, convert or copy the model again."
            )
        return to_uint8(image).cpu().numpy()

    def _prepare(self, frames: NDArray[np.uint8], size: int) -> Tensor:
        """Centre square, as float on the device, at the size that a part takes."""
        pixels = torch.as_tensor(center_square(frames)).to(self.device)
        return resize(to_float(pixels), size)


class Animation:
    """An animation that is rendered while it is read; it never holds more than one batch of frames.

    Made by :meth:`Animator.animate`.
    """

    def __init__(self, animator: Animator, source: Source, driving: VideoReader, relative: bool, batch: int) -> None:
        self._animator = animator
        self._source = source
        self._driving = driving
        self._relative = relative
        self._batch = batch

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._driving)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Render: frames ``(n, size, size, 3)``, up to a batch at a time.

        Raises:
            WeightsError: when a frame comes out as NaN or infinite.
            MediaError: when the driving video cannot be decoded further.
        """
        start: Tensor | None = None
        for pixels in self._driving.stream(self._batch):
            motion = self._animator.motion(pixels)
            if self._relative:
                start = motion[:1] if start is None else start
                motion = motion - start + self._source.motion
            yield self._animator.render(self._source, motion)

    def save(self, path: str | Path, progress: Progress | None = None) -> Path:
        """Render into a video with the sound of the driving clip; the file appears whole or not at all.

        Args:
            path: mp4, m4v, mov or mkv.
            progress: told the number of frames written and their total, after every batch.

        Returns:
            The path.

        Raises:
            MediaError: when the file cannot be written, or is the driving video itself.
            WeightsError: as :meth:`frames`.
        """
        path = Path(path)
        clip = self._driving.info
        if path.exists() and path.samefile(clip.path):
            raise MediaError(f"{path} is the driving video; give another file for the result.")
        with VideoWriter(path, FPS, audio=clip.path if clip.audio else None) as writer:
            for frames in self.frames():
                writer.write(frames)
                if progress is not None:
                    progress(writer.frames_written, len(self))
        return path


def load(name_or_folder: str | Path, device: str | torch.device = "auto") -> Animator:
    """Load a model that can animate.

    Args:
        name_or_folder: a model folder, or ``owner/name`` on the Hugging Face Hub.
        device: where to compute; ``"auto"`` takes a GPU where there is one.

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
    return Animator(encoder, renderer, device)


def _read_portrait(path: str | Path) -> NDArray[np.uint8]:
    if is_video(path):
        with VideoReader(path, fps=None) as reader:
            frame: NDArray[np.uint8] = reader.read([0])[0]
            return frame
    return read_picture(path)
