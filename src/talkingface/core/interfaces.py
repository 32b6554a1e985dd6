"""The narrow interfaces of the zoo's parts (DESIGN, section 3)."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import Parameter

from talkingface.core.component import Component
from talkingface.core.errors import ConfigError
from talkingface.core.motion_spec import MotionKind, MotionSpec
from talkingface.core.records import Condition, RenderOutput, Source


@dataclass(frozen=True)
class ImageCode:
    """What an image encoder sees in a picture.

    Args:
        code: ``(N, code_dim)``.
        pyramid: feature maps, coarse first, each ``(N, C, h, w)``.
    """

    code: Tensor
    pyramid: tuple[Tensor, ...]


class ImageEncoder(Component):
    """Picture → code and feature pyramid; a motion encoder and a renderer may share one.

    Attributes:
        size: side of the square pictures it takes, in pixels.
        code_dim: width of the code.
        channels: channels of the pyramid's maps, coarse first; the maps double in size from 8 px on.
    """

    size: int
    code_dim: int
    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> ImageCode:
        """``(N, 3, size, size)`` in ``[-1, 1]`` → code and pyramid."""


class MotionEncoder(Component):
    """Picture → motion, in the zoo's one currency.

    Attributes:
        spec: what the numbers mean.
        image_encoder: the trunk, where it is worth sharing with a renderer; else ``None``.
        traits: what renderers and generators can count on: a ``"trunk"`` to share, ``"keypoints"`` that the motion
            places, an ``"expression"`` apart from the rest. The class tells, so that it can be read without importing.
        labels: names of the labels of a frame that tell its motion without a look at it; none where only a look does.
    """

    spec: MotionSpec
    image_encoder: ImageEncoder | None
    traits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = None  # on the instance: an attribute of the class would hide a registered module

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in ``[-1, 1]`` → ``(N, D)``."""

    def of_labels(self, labels: Mapping[str, Tensor]) -> Tensor | None:
        """Motion of frames that somebody has measured.

        Args:
            labels: ``landmarks`` ``(..., 68, 2)`` as fractions of the picture, ``pose`` ``(..., 3)`` in degrees,
                ``expression`` ``(..., E)`` …; NaN where unknown. Others than those of ``labels`` have no effect.

        Returns:
            ``(..., D)``, NaN where unknown; ``None`` where one of ``labels`` is missing, or they are not asked for.
        """
        return None

    def fingerprint(self) -> str:
        """What motion depends on beside configuration and weights, as a reader's network; here nothing."""
        return ""

    def motion_of(self, code: ImageCode) -> Tensor:
        """Motion ``(N, D)`` of a picture that the shared trunk has already seen.

        Raises:
            ConfigError: when the representation has no trunk to share.
        """
        raise ConfigError(f"{type(self).__name__} has no image encoder to share.")

    def displacement(self, motion: Tensor) -> Tensor | None:
        """Motion ``(N, D)`` as a step ``(N, code_dim)`` in the trunk's code space; ``None`` where there is none."""
        return None

    def identity_parameters(self) -> Iterator[Parameter]:
        """Parameters that only an identity loss can train; none unless the representation decouples identity."""
        return iter(())

    def canonical(self, image: Tensor) -> Tensor:
        """Canonical keypoints ``(N, K, 3)`` of a picture.

        Raises:
            ConfigError: when the representation has none.
        """
        raise ConfigError(f"{type(self).__name__} has no canonical keypoints.")

    def describe(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Motion ``(N, D)`` and canonical keypoints ``(N, K, 3)`` of a picture, in as few passes as that takes.

        Raises:
            ConfigError: when the representation has no canonical keypoints.
        """
        return self(image), self.canonical(image)


class Renderer(Component):
    """Portrait and motion → picture. The motion encoder whose motion it renders is wired in first.

    Attributes:
        accepts: the kind of motion it takes without a bridge: ``"keypoints"`` that the motion places, or a
            ``"vector"`` in the code space of a trunk that both share.
        size: side of the pictures it makes, in pixels.
    """

    accepts: MotionKind
    size: int

    @abstractmethod
    def appearance(self, image: Tensor, motion: Tensor | None = None) -> Source:
        """All that depends on the portrait alone.

        Args:
            image: ``(N, 3, H, W)`` in ``[-1, 1]``.
            motion: of the portrait, ``(N, D)``, where it is known; else it is looked for.
        """

    @abstractmethod
    def forward(self, source: Source, motion: Tensor) -> RenderOutput:
        """Render motion ``(B, D)`` on a source of the same batch size; see :class:`RenderOutput`."""

    def fused(self, dtype: torch.dtype = torch.float32) -> "Renderer":
        """A form that draws the same pictures faster, for inference alone; itself where there is none.

        Args:
            dtype: in which it computes, where it can choose.
        """
        return self


class Discriminator(Component):
    """Picture → how real it looks: one logit, or one for each of its patches."""

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → logits ``(B, P)``, P = 1 where the whole picture is judged."""


class AudioEncoder(Component):
    """Speech → condition, in a frozen, cacheable step and a learned one.

    The frozen network of others is no part of the module: it is loaded when features are first asked for, and stays
    out of checkpoints.

    Attributes:
        dim: width A of the condition.
        rate: steps of the features in a second, a multiple of the 25 frames.
        layers, channels: L and C of the features.
        context: seconds of sound around a step that its features depend on; beyond it sound can be cut, with
            differences too small to see.
    """

    dim: int
    rate: int
    layers: int
    channels: int
    context: float

    @abstractmethod
    def features(self, wave: Tensor) -> Tensor:
        """16 kHz mono ``(B, S)`` in ``[-1, 1]`` → ``(B, L, Ta, C)``: L layers, Ta steps; frozen and cacheable.

        Sound is filled with zeros to whole video frames: ``Ta = ceil(S / 640) * rate / 25``.
        """

    def walk(self, wave: Tensor) -> Iterator[Tensor]:
        """The same features piece by piece in time, for sound whose features together would not fit into memory."""
        yield self.features(wave)

    @abstractmethod
    def forward(self, features: Tensor, frames: int) -> Tensor:
        """Features ``(B, L, frames * rate / 25, C)`` → condition ``(B, frames, A)`` at 25 Hz."""

    @abstractmethod
    def fingerprint(self) -> str:
        """What the features depend on beside the sound: settings and weights of the frozen step, as a short hash."""


class MotionGenerator(Component):
    """Condition → motion. The motion encoder whose motion it makes and the audio encoder are wired in first.

    Attributes:
        spec: of the motion that it makes.
        attributes: names of the control tracks that it can be told; the others are refused.
        edits: whether it changes the motion that frames have already (:attr:`Condition.original`), so that it can dub.
        needs: traits without which a motion encoder cannot be wired in, see :class:`MotionEncoder`.
    """

    spec: MotionSpec
    attributes: tuple[str, ...]
    edits: bool = False
    needs: tuple[str, ...] = ()

    def calibrate(
        self,
        motion: Tensor,
        moods: Mapping[str, Tensor] | None = None,
        controls: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Learn the range of the motion to be made and of what can be told, unless they are known; nothing by default.

        Args:
            motion: of the training clips, ``(N, D)``.
            moods: emotion → motion ``(n, D)`` of the clips that are labelled with it.
            controls: name → values of the training clips, ``(n,)`` or ``(n, 3)``; NaN where unknown.
        """

    @abstractmethod
    def loss(self, motion: Tensor, condition: Condition, generator: Generator | None = None) -> dict[str, Tensor]:
        """Named training losses for motion ``(B, T, D)``.

        Args:
            motion: what the frames really did.
            condition: with true ``controls`` where there are any; NaN marks frames without.
            generator: draws noise and steps; torch's own, which a trainer seeds, when not given.
        """

    @abstractmethod
    def sample(
        self,
        condition: Condition,
        generator: Generator,
        *,
        prefix: Tensor | None = None,
        steps: int = 50,
        guidance: float = 1.0,
    ) -> Tensor:
        """Draw motion ``(B, T, D)`` for a condition of T frames.

        Args:
            condition: ``controls`` that are given replace what the generator would choose.
            generator: draws everything that is drawn; same seed, same motion.
            prefix: motion ``(B, K, D)``, K < T, that the first K frames must have: how one window goes on from
                another.
            steps: of the sampler, where it takes steps.
            guidance: how much more than trained the condition counts; 1 is as trained.
        """


class ControlReader(Component):
    """Where the control tracks of a clip, and its landmarks, come from: label files, another network."""

    def fingerprint(self) -> str:
        """What readings of pictures depend on beside the configuration, as networks in files do; here nothing."""
        return ""

    @abstractmethod
    def read(self, clip: Path | None, frames: NDArray[np.uint8] | None = None) -> dict[str, Tensor]:
        """Tracks of a clip on the 25 fps grid.

        Args:
            clip: the video file; ``None`` for pictures that are no clip.
            frames: its pictures ``(T, H, W, 3)`` where the caller has them already.

        Returns:
            ``pose`` ``(T, 3)`` yaw, pitch, roll in degrees; ``location`` ``(T,)`` x of the nose tip over frame width;
            ``scale`` ``(T,)`` distance of inner brows and chin over frame height; ``landmarks`` ``(T, 68, 2)`` as
            fractions of the frame; of readers that measure it, ``expression`` ``(T, E)``. Float32, NaN where unknown.
        """
