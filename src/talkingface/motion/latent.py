"""Latent motion: a short code without geometry, learned by reconstruction (LIA; AniTalker's stage 1)."""

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn

from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import ImageCode, MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.motion.decoupling import DecouplingNet
from talkingface.motion.lia_encoder import LIAEncoder
from talkingface.motion.projector import DirectReduction, LinearMotionDecomposition

PROJECTORS: dict[str, type[LinearMotionDecomposition] | type[DirectReduction]] = {
    "lmd": LinearMotionDecomposition,
    "fc": DirectReduction,
}


class LatentMotion(MotionEncoder):
    """Picture → latent motion. The defaults are AniTalker's stage 1; ``hal=False, decouple=False`` is LIA.

    Args:
        dim: width of the motion (supplement, Table 4: 20; 32 gains nothing).
        size: side of the picture in pixels: 64, 128, 256 or 512.
        width: factor on the published number of channels.
        code_dim: width of the image code.
        hal: aggregate all stages of the trunk into the code.
        decouple: read the motion behind a head that identity losses keep free of identity.
        projector: ``"lmd"`` (orthonormal directions) or ``"fc"`` (fully connected), see :mod:`~.projector`.

    Raises:
        ConfigError: for another size or projector, or more dimensions than the code has.
    """

    traits = ("trunk",)

    def __init__(
        self,
        *,
        dim: int = 20,
        size: int = 256,
        width: float = 1.0,
        code_dim: int = 512,
        hal: bool = True,
        decouple: bool = True,
        projector: Literal["lmd", "fc"] = "lmd",
    ) -> None:
        super().__init__()
        if projector not in PROJECTORS:
            raise ConfigError(f"there is no projector '{projector}'; use {' or '.join(PROJECTORS)}.")
        if dim > code_dim:
            raise ConfigError(f"motion of {dim} dimensions does not fit into a code of {code_dim}.")
        self.spec = MotionSpec("vector", {"latent": dim})
        self.image_encoder: LIAEncoder = LIAEncoder(size=size, width=width, code_dim=code_dim, hal=hal)
        self.decoupling = DecouplingNet(code_dim) if decouple else None
        self.projector = PROJECTORS[projector](code_dim, dim)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, size, size)`` in ``[-1, 1]`` → ``(N, dim)``."""
        return self.motion_of(self.image_encoder(image))

    def motion_of(self, code: ImageCode) -> Tensor:
        """Motion ``(N, dim)`` of a picture that the trunk has already seen."""
        motion: Tensor = self.projector(self.motion_features(code))
        return motion

    def motion_features(self, code: ImageCode) -> Tensor:
        """Motion latent z_m ``(N, code_dim)``, before the projector."""
        features: Tensor = code.code if self.decoupling is None else self.decoupling(code.code)
        return features

    def displacement(self, motion: Tensor) -> Tensor:
        """Motion ``(N, dim)`` → step ``(N, code_dim)`` in code space, linear in the motion."""
        return self.projector.displacement(motion)

    def identity(self, code: ImageCode) -> Tensor:
        """Identity latent z_id ``(N, code_dim)``.

        Raises:
            ConfigError: without decoupling.
        """
        embedding: Tensor = self._decoupled().identity(code.code)
        return embedding

    def identity_density(self, identity: Tensor) -> Tensor:
        """Transform of z_id ``(N, code_dim)`` → ``(N, code_dim)`` that the identity losses see.

        Raises:
            ConfigError: without decoupling.
        """
        density: Tensor = self._decoupled().density(identity)
        return density

    def identity_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the identity head and its density transform; frozen where there is no identity loss."""
        if self.decoupling is not None:
            yield from self.decoupling.identity.parameters()
            yield from self.decoupling.density.parameters()

    def _decoupled(self) -> DecouplingNet:
        if self.decoupling is None:
            raise ConfigError("this LatentMotion has no identity embedding; build it with decouple=True.")
        return self.decoupling
