"""GAN losses: non-saturating (LIA: no R1, no path regularisation), hinge and feature matching (face-vid2vid)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

FEATURE_WEIGHT = 10.0  # of each map


def generator_loss(fake: Tensor) -> Tensor:
    """How far the renderer is from fooling the discriminator: ``mean softplus(-D(fake))``.

    Args:
        fake: logits of rendered images, any shape.

    Returns:
        Scalar, at least 0.
    """
    return functional.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """How badly the discriminator tells apart: ``mean softplus(-D(real)) + mean softplus(D(fake))``.

    Args:
        real, fake: logits, any shape; the fakes must be detached from the renderer.

    Returns:
        Scalar, at least 0.
    """
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """The renderer's side of the hinge: ``-mean D(fake)``.

    Args:
        fake: logits of rendered images, any shape.

    Returns:
        Scalar, of any sign.
    """
    return -fake.mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's side of the hinge: ``mean max(0, 1 - D(real)) + mean max(0, 1 + D(fake))``.

    Args:
        real, fake: logits, any shape; the fakes must be detached from the renderer.

    Returns:
        Scalar, at least 0.
    """
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Difference of what the discriminator sees: ``10 sum_l mean |F_l(fake) - F_l(real)|`` (face-vid2vid, A.2).

    Args:
        fake, real: the discriminator's feature maps, pairwise of one shape; no gradient flows to the real ones.

    Returns:
        Scalar, at least 0.
    """
    levels = [functional.l1_loss(have, want.detach()) for have, want in zip(fake, real, strict=True)]
    return FEATURE_WEIGHT * torch.stack(levels).sum()
