"""Non-saturating GAN losses (LIA: no R1, no path regularisation)."""

from torch import Tensor
from torch.nn import functional


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
