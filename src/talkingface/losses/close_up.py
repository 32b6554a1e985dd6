"""A second look at the lips, which are few pixels of a picture (local losses: LivePortrait, section 3.1)."""

from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.losses.mouth import cut, lip_boxes
from talkingface.losses.pyramid import pyramid_loss

SHARE = 2  # a close-up has a side of one over this of the picture's


def mouth_loss(image: Tensor, target: Tensor, landmarks: Tensor) -> Tensor:
    """The pyramid loss of close-ups of the lips, in squares round the true ones.

    A mouth that opens changes one pixel in a hundred; heads that turn and lean change all. Without this loss a motion
    representation finds lips long after all else, and a renderer opens them hardly at all.

    Args:
        image, target: ``(B, 3, H, W)`` in ``[-1, 1]``.
        landmarks: of the target, ``(B, 68, 2)`` as fractions of the picture; NaN where unknown, which does not count.

    Returns:
        Scalar, at least 0; 0 where no landmarks are known.
    """
    check_shape(target, image.shape, "target")
    check_shape(landmarks, (len(image), 68, 2), "landmarks")
    known = landmarks.isfinite().all(-1).all(-1)
    if not known.any():
        return image.sum() * 0  # with a gradient, as DDP expects
    boxes, side = lip_boxes(landmarks[known].float()), image.shape[-1] // SHARE
    return pyramid_loss(cut(image[known], boxes, side), cut(target[known], boxes, side))
