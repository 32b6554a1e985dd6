"""Where keypoints lie: dots on the picture that they were found in."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from talkingface.core.checks import check_shape

SIDE, DOT = 256, 4  # pixels: the least side of what is drawn on, and the radius of a dot there
NEAR, FAR = (255, 220, 60), (70, 60, 200)  # colours by depth


def points_picture(picture: NDArray[np.uint8], keypoints: Tensor) -> NDArray[np.uint8]:
    """A picture with its keypoints, near ones yellow and far ones blue.

    Args:
        picture: uint8 ``(H, W, 3)``; a small one is enlarged by whole pixels, to 256 px or a little less.
        keypoints: ``(K, 3)`` in ``[-1, 1]``, x right, y down, z into the screen; dots outside of the picture are lost.

    Returns:
        uint8 ``(n H, n W, 3)``.

    Raises:
        ShapeError: when the keypoints are of another shape.
    """
    check_shape(keypoints, ("K", 3), "keypoints")
    times = max(1, SIDE // picture.shape[0])
    large = Image.fromarray(picture.repeat(times, 0).repeat(times, 1))
    draw = ImageDraw.Draw(large)
    x, y, z = keypoints.detach().cpu().double().unbind(-1)
    depth = (z - z.min()) / (z.max() - z.min()).clamp(min=1e-6)
    for place in z.argsort(descending=True).tolist():  # near ones last, on top
        centre = (float((x[place] + 1) / 2 * large.width), float((y[place] + 1) / 2 * large.height))
        share = float(depth[place])
        colour = tuple(round(near + (far - near) * share) for near, far in zip(NEAR, FAR, strict=True))
        draw.ellipse([c + d for d in (-DOT, DOT) for c in centre], fill=colour, outline=(20, 20, 20))
    return np.asarray(large)
