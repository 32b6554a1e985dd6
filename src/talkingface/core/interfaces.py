"""The narrow interfaces of the zoo's parts (DESIGN, section 3)."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    """

    spec: MotionSpec
    image_encoder: ImageEncoder | None

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = None  # on the instance: an attribute of the class would hide a registered module

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in ``[-1, 1]`` → ``(N, D)``."""

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


class Renderer(Component):
    """Portrait and motion → picture. The motion encoder whose motion it renders is wired in first.

    Attributes:
        accepts: the kind of motion it takes without a bridge.
        size: side of the pictures it makes, in pixels.
    """

    accepts: MotionKind
    size: int

    @abstractmethod
    def appearance(self, image: Tensor) -> Source:
        """``(N, 3, H, W)`` in ``[-1, 1]`` → all that depends on the portrait alone."""

    @abstractmethod
    def forward(self, source: Source, motion: Tensor) -> RenderOutput:
        """Render motion ``(B, D)`` on a source of the same batch size; see :class:`RenderOutput`."""


class Discriminator(Component):
    """Picture → how real it looks, as a logit ``(B, 1)`` or a list of maps."""

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → logits ``(B, 1)``."""


class AudioEncoder(Component):
    """Speech → condition, in a frozen, cacheable step and a learned one."""

    @abstractmethod
    def features(self, wave: Tensor) -> Tensor:
        """16 kHz mono ``(B, S)`` in ``[-1, 1]`` → ``(B, L, Ta, C)``: L layers, Ta steps; frozen and cacheable."""

    @abstractmethod
    def forward(self, features: Tensor, frames: int) -> Tensor:
        """Features ``(B, L, Ta, C)`` → condition ``(B, frames, A)`` at 25 Hz."""


class MotionGenerator(Component):
    """Condition → motion. The :class:`MotionSpec` and the condition's width are wired in first."""

    @abstractmethod
    def loss(self, motion: Tensor, condition: Condition, generator: Generator | None = None) -> dict[str, Tensor]:
        """Named training losses for motion ``(B, T, D)``."""

    @abstractmethod
    def sample(self, condition: Condition, frames: int, generator: Generator, **controls: Any) -> Tensor:
        """Draw motion ``(B, frames, D)``."""
