"""From the range of motion codes to the range of a sampler, and back."""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from talkingface.core.checks import check_finite, check_shape
from talkingface.core.component import load_exactly
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import MotionGenerator
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.tensors import read_tensors

TAIL = 0.001  # share of values on either side that may be clipped
MARGIN = 1.1  # room beyond the outermost values that count
NARROWEST = 0.01  # of the widest half-range of a slice: what moves less is at rest


class MotionRange(nn.Module):
    """Maps the usual values of each dimension of a motion to ``[-1, 1]``.

    The sampler clips its guess to ``[-1, 1]`` (diffusion of AniTalker's published code), but nothing in stage 1 keeps
    codes in there: what lies outside could never be generated. Centre and half-range are therefore learnt from the
    training motion, for each dimension, between its 0.1 % and 99.9 % quantiles and 10 % beyond:

    * not between the extremes, where one broken frame would squeeze all others into a corner;
    * not by the standard deviation, which promises nothing about skewed codes, such as eyelids that mostly rest;
    * normally distributed codes get the deviation 0.29, of the order of pictures', for which the schedule was made.

    Motion of a single slice is turned onto its principal axes first. The axes of a motion latent mean nothing: stage 1
    gives the same pictures after any rotation of its directions. As it leaves them, what moves little, such as lips,
    is a small share of every dimension, below the noise of the last steps; on principal axes it has one of its own,
    which is stretched like the others. Slices have units and axes of their own, and are left as they are.

    A dimension that hardly moves beside the others of its slice, which share its unit, is at rest: 27 of the 63 numbers
    of LivePortrait's expression are. It is mapped to 0, and 0 to its centre; stretched, its noise would count as much
    as the motion of the others. Until it is fitted the map is the identity, so that published weights give what they
    were published with.

    Args:
        widths: of the motion's slices, which add up to its width D; by default it is one.
    """

    centre: Tensor
    scale: Tensor
    known: Tensor
    axes: Tensor | None

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.widths = widths
        self.dim = sum(widths)
        self.register_buffer("centre", torch.zeros(self.dim))
        self.register_buffer("scale", torch.ones(self.dim))  # 0 marks what is at rest
        self.register_buffer("known", torch.tensor(False))
        self.register_buffer("axes", torch.eye(self.dim) if len(widths) == 1 else None)  # in columns

    @torch.no_grad()
    def fit(self, motion: Tensor) -> None:
        """Learn the range. A range that is known, fitted or loaded with weights that were trained in it, stays.

        Args:
            motion: of the training clips, ``(N, D)``.

        Raises:
            ShapeError: for no motion, motion of another width, NaN or infinity.
        """
        if self.known:
            return
        check_shape(motion, ("N", self.dim), "motion to fit a range to")
        if len(motion) == 0:
            raise ShapeError("motion to fit a range to has no frame. Are there clips in the training split?")
        check_finite(motion, "motion to fit a range to")
        if self.axes is not None:
            self.axes.copy_(principal_axes(motion.clamp(*usual(motion))))
        low, high = usual(self._turned(motion))
        half = (high - low) / 2 * MARGIN
        widest = torch.cat([part.max().expand(len(part)) for part in half.split(self.widths)])
        self.centre.copy_((low + high) / 2)
        self.scale.copy_(half * (half > NARROWEST * widest))
        self.known.fill_(True)

    @property
    def moving(self) -> Tensor:
        """Which dimensions are not at rest, ``(D,)`` bool."""
        return self.scale > 0

    def normalise(self, motion: Tensor) -> Tensor:
        """Motion ``(..., D)`` → the same with the usual values in ``[-1, 1]``; others are not clipped here."""
        return (self._turned(motion) - self.centre) / divisor(self.scale)

    def restore(self, normalised: Tensor) -> Tensor:
        """Undo :meth:`normalise`, ``(..., D)``."""
        turned = normalised * self.scale + self.centre
        return turned if self.axes is None else in_full(turned, self.axes.T)

    def _turned(self, motion: Tensor) -> Tensor:
        return motion if self.axes is None else in_full(motion, self.axes)


def usual(motion: Tensor) -> tuple[Tensor, Tensor]:
    """Between which values all but the outermost of each dimension of motion ``(N, D)`` lie, ``(D,)`` each."""
    last = len(motion) - 1
    low = motion.kthvalue(1 + math.floor(TAIL * last), dim=0).values
    high = motion.kthvalue(1 + math.ceil((1 - TAIL) * last), dim=0).values
    return low, high


def principal_axes(motion: Tensor) -> Tensor:
    """Directions in which motion ``(N, D)`` varies, in columns, widest first; the largest part of each is positive."""
    away = (motion - motion.mean(0)).double()
    axes: Tensor = torch.linalg.eigh(away.T @ away).eigenvectors.flip(1)
    upwards = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return (axes * upwards).to(motion.dtype)


def in_full(motion: Tensor, axes: Tensor) -> Tensor:
    """Motion ``(..., D)`` on other axes ``(D, D)``; under autocast as precise as without."""
    with torch.autocast(motion.device.type, enabled=False):
        return motion @ axes.to(motion.dtype)


def divisor(scale: Tensor) -> Tensor:
    """What to divide by, so that dimensions at rest, whose scale is 0, become 0."""
    return scale.where(scale > 0, torch.inf)


def load_made_for(generator: MotionGenerator, spec: MotionSpec, path: str | Path) -> None:
    """Load the weights of a generator, and tell one of motion of another size by both sizes.

    Args:
        generator: with a ``motion_range``.
        spec: of the motion that it is to make.
        path: the safetensors file.

    Raises:
        ConfigError: for motion of another size.
        WeightsError: for a file that is missing, damaged or does not fit.
    """
    tensors = read_tensors(path)
    if "motion_range.centre" in tensors:  # what is missing is told below
        check_made_for(spec, len(tensors["motion_range.centre"]), str(path))
    load_exactly(generator, tensors, str(path))


def check_made_for(spec: MotionSpec, width: int, origin: str) -> None:
    """Refuse a generator that makes another motion than the one that is rendered.

    Args:
        spec: of the motion encoder, whose motion the renderer takes.
        width: of the motion that the generator makes.
        origin: the generator, for the message.

    Raises:
        ConfigError: with both sizes.
    """
    if width == spec.dim:
        return
    rigid = spec.dim - 3 * spec.num_keypoints
    made, wanted = (
        f"{size} numbers a frame ({(size - rigid) // 3} keypoints)" if spec.num_keypoints else f"{size} numbers a frame"
        for size in (width, spec.dim)
    )
    raise ConfigError(
        f"{origin} makes motion of {made}, but the motion encoder and the renderer take {wanted}. "
        "Take all parts from one model, or train the generator on this one."
    )
