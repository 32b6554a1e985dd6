"""Augmentation of metric-learning candidates (AniTalker, supplement 2.1).

It is for candidates only. The pair that is reconstructed is never augmented: its background must stay still, so that
the motion latent learns the person's motion and nothing else.
"""

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from talkingface.core.checks import check_shape

# The supplement names the transforms, not how strong they are: strong enough to be seen, weak enough for a face to stay
# in the frame and to stay the same face. Hue therefore hardly turns.
JITTER = (0.7, 1.3)  # factors of brightness, contrast and saturation
HUE = 0.03  # of the colour circle
BLUR = (0.1, 1.5)  # sigma, in pixels of a 64 px picture
BLURRED = 0.5  # share of the pictures that are blurred
SHIFT = 0.1  # of the picture's side
SCALE = (0.9, 1.1)
ROTATION = 15.0  # degrees


def augment(image: Tensor, random: np.random.Generator) -> Tensor:
    """Flip, shift, scale, rotate, jitter the colours of and blur a picture, each at random.

    Args:
        image: ``(3, H, W)`` in ``[-1, 1]``.
        random: makes every draw; the same state, the same picture.

    Returns:
        ``(3, H, W)`` in ``[-1, 1]``; black where the picture was moved away.

    Raises:
        ShapeError: for anything but one RGB picture.
    """
    check_shape(image, (3, "H", "W"), "image")
    size = image.shape[-1]
    angle = random.uniform(-ROTATION, ROTATION)
    shift = [round(step * size) for step in random.uniform(-SHIFT, SHIFT, 2)]
    scale = random.uniform(*SCALE)
    brightness, contrast, saturation = random.uniform(*JITTER, 3)
    hue = random.uniform(-HUE, HUE)
    flipped, blurred = random.random(2) < (0.5, BLURRED)
    sigma = random.uniform(*BLUR) * size / 64

    picture = (image + 1) / 2  # colours are adjusted in [0, 1]
    if flipped:
        picture = functional.horizontal_flip(picture)
    picture = functional.affine(
        picture, angle, shift, scale, shear=[0.0, 0.0], interpolation=InterpolationMode.BILINEAR
    )
    picture = functional.adjust_brightness(picture, brightness)
    picture = functional.adjust_contrast(picture, contrast)
    picture = functional.adjust_saturation(picture, saturation)
    picture = functional.adjust_hue(picture, hue)
    if blurred:
        picture = functional.gaussian_blur(picture, [2 * round(2 * sigma) + 1] * 2, [sigma] * 2)
    moved: Tensor = picture * 2 - 1
    return moved
