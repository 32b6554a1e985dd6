"""Boundary checks: one call says what a tensor must be, and the error says what it was."""

from collections.abc import Sequence
from types import EllipsisType

import torch
from torch import Tensor

from talkingface.core.errors import ShapeError

Dim = int | str | EllipsisType | None


def check_shape(tensor: Tensor, shape: Sequence[Dim], name: str) -> None:
    """Refuse a tensor of another shape.

    Args:
        tensor: the tensor to look at.
        shape: sizes; a string or ``None`` stands for any size, a leading ``...`` for any number of axes.
        name: what the tensor is called in the message.

    Raises:
        ShapeError: naming the shape found and the shape wanted.

    >>> check_shape(torch.zeros(2, 3), ("B", 3), "points")
    >>> check_shape(torch.zeros(2, 4), ("B", 3), "points")
    Traceback (most recent call last):
    talkingface.core.errors.ShapeError: points has shape (2, 4), expected (B, 3).
    """
    wanted = list(shape)
    found = list(tensor.shape)
    if wanted and wanted[0] is ...:
        wanted = wanted[1:]
        found = found[len(found) - len(wanted) :] if len(found) >= len(wanted) else found
    fits = len(found) == len(wanted) and all(
        not isinstance(want, int) or want == have for want, have in zip(wanted, found, strict=True)
    )
    if not fits:
        text = ", ".join("..." if dim is ... else "any" if dim is None else str(dim) for dim in shape)
        raise ShapeError(f"{name} has shape {tuple(tensor.shape)}, expected ({text}).")


def check_image(image: Tensor, name: str = "image", size: int | None = None) -> None:
    """Refuse anything but a batch of RGB images as parts exchange them: float ``(B, 3, H, W)``.

    Args:
        image: the batch.
        name: what it is called in the message.
        size: height and width, where the part is built for one.

    Raises:
        ShapeError: naming what was found; a wrong channel count and integer pixels are explained.
    """
    if image.ndim == 4 and image.shape[1] != 3:
        raise ShapeError(
            f"{name} has {image.shape[1]} channels (shape {tuple(image.shape)}), expected 3 (RGB, (B, 3, H, W))."
        )
    check_shape(image, ("B", 3, size or "H", size or "W"), name)
    if not image.is_floating_point():
        raise ShapeError(f"{name} is {image.dtype}, expected float in [-1, 1]; see talkingface.core.images.to_float.")


def check_finite(tensor: Tensor, name: str) -> None:
    """Refuse NaN and infinity.

    Args:
        tensor: the tensor to look at.
        name: what it is called in the message.

    Raises:
        ShapeError: with the number of bad values and the place of the first.
    """
    bad = ~torch.isfinite(tensor)
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise ShapeError(f"{name} has {int(bad.sum())} values that are NaN or infinite, the first at {first}.")
