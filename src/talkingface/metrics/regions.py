"""Metrics of the mouth, the eyes and the rest of a frame, where the target's landmarks say that they are."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.functional import pixels, similarity
from talkingface.metrics.image import Decibels

MOUTH = (range(48, 68),)  # of the 68 points
EYES = (range(36, 42), range(42, 48))
OUTER_CORNERS = (36, 45)
MARGIN = 0.2  # of the distance of the outer eye corners

_WHERE = (
    "boxes round the target's landmarks (mouth 48-67; each eye 36-41, 42-47), widened by 0.2 of the distance of its "
    "outer eye corners"
)


def region_mask(landmarks: Tensor, height: int, width: int, region: str) -> Tensor:
    """Pixels of a region in each frame.

    Args:
        landmarks: of the target, pixels ``(T, 68, 2)``, x and y; pixel centres are whole numbers.
        height: of the frames.
        width: of the frames.
        region: ``"mouth"``, ``"eyes"``, or ``"rest"``: all that is neither.

    Returns:
        bool ``(T, height, width)``; all false where a face lies outside of the frame.

    >>> face = torch.rand(1, 68, 2) * 100
    >>> masks = [region_mask(face, 100, 100, region) for region in ("mouth", "eyes", "rest")]
    >>> bool((masks[0] | masks[1] | masks[2]).all())
    True
    """
    if region == "rest":
        inside = region_mask(landmarks, height, width, "mouth") | region_mask(landmarks, height, width, "eyes")
        return ~inside
    margin = MARGIN * (landmarks[:, OUTER_CORNERS[0]] - landmarks[:, OUTER_CORNERS[1]]).norm(dim=1)[:, None]
    columns, rows = torch.arange(width), torch.arange(height)
    mask = torch.zeros(len(landmarks), height, width, dtype=torch.bool)
    for points in MOUTH if region == "mouth" else EYES:
        part = landmarks[:, points]
        low, high = (part.amin(dim=1) - margin)[..., None], (part.amax(dim=1) + margin)[..., None]
        across = (columns >= low[:, 0]) & (columns <= high[:, 0])
        down = (rows >= low[:, 1]) & (rows <= high[:, 1])
        mask |= down[:, :, None] & across[:, None, :]
    return mask


class RegionMetric(MeanMetric):
    """Mean over the frames of a clip in which the target's face was found, of one region.

    Attributes:
        region: see :func:`region_mask`.
        border: pixels along the frame's edges that cannot be scored.
    """

    needs = ("video", "target", "target.landmarks")
    region: ClassVar[str]
    border: ClassVar[int] = 0

    @abstractmethod
    def frame(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """uint8 ``(3, H, W)`` twice and a mask ``(H, W)`` that is not empty → scalar."""

    def values(self, prediction: Tensor, target: Tensor, landmarks: Tensor) -> Tensor:
        """One value for each frame in which the target's region lies.

        Args:
            prediction: uint8 ``(T, 3, H, W)``.
            target: uint8 ``(T, 3, H, W)``.
            landmarks: of the target, pixels ``(T, 68, 2)``, NaN where no face was found.

        Raises:
            ShapeError: another type or shape.
            UnscorableError: when no frame of the target has a face.
        """
        pixels.check_frames(prediction, target)
        check_shape(landmarks, (len(target), 68, 2), "landmarks")
        height, width = target.shape[-2:]
        found = landmarks.isfinite().all(dim=(1, 2)).nonzero().flatten().tolist()
        values = []
        for index in found:  # one frame at a time: memory does not grow with the clip
            mask = region_mask(landmarks[index : index + 1], height, width, self.region)[0]
            mask &= self._inner(height, width)
            if mask.any():
                values.append(self.frame(prediction[index], target[index], mask))
        if not values:
            raise UnscorableError(f"has no face in its target whose {self.region} could be scored")
        return torch.stack(values)

    def _inner(self, height: int, width: int) -> Tensor:
        rows, columns = torch.arange(height), torch.arange(width)
        down = (rows >= self.border) & (rows < height - self.border)
        return down[:, None] & (columns >= self.border) & (columns < width - self.border)


class RegionPSNR(Decibels, RegionMetric):
    """PSNR over the pixels of a region."""

    def frame(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """uint8 ``(3, H, W)`` twice and a mask ``(H, W)`` → dB."""
        return pixels.decibels((prediction[:, mask].double() - target[:, mask].double()).square().mean())


class RegionError(RegionMetric):
    """Mean absolute difference of the pixels of a region, in levels of 255."""

    unit = "levels"
    higher_is_better = False
    range = (0.0, pixels.PEAK)
    citation = "mean absolute error"

    def frame(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """uint8 ``(3, H, W)`` twice and a mask ``(H, W)`` → levels."""
        return (prediction[:, mask].double() - target[:, mask].double()).abs().mean()


class RegionSSIM(RegionMetric):
    """SSIM averaged over the windows that are centred in a region and lie inside the frame."""

    unit = ""
    higher_is_better = True
    range = (-1.0, 1.0)
    citation = "Wang et al. 2004, equation 13"
    border = len(similarity.WANG.taps) // 2

    def frame(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """uint8 ``(3, H, W)`` twice and a mask ``(H, W)`` → scalar."""
        rows, columns = (_span(mask.any(dim=axis), self.border) for axis in (1, 0))
        centres = mask[rows, columns][self.border : -self.border, self.border : -self.border]
        ours, theirs = (frames[:, rows, columns].double() for frames in (prediction, target))
        return similarity.ssim_map(ours, theirs)[:, centres].mean()


class MouthPSNR(RegionPSNR):
    """PSNR of the mouth, which a whole frame's PSNR hardly sees."""

    region = "mouth"
    convention = f"psnr/mouth: as psnr/frame-mean over {_WHERE}"


class EyesPSNR(RegionPSNR):
    """PSNR of the eyes."""

    region = "eyes"
    convention = f"psnr/eyes: as psnr/frame-mean over {_WHERE}"


class RestPSNR(RegionPSNR):
    """PSNR of all that is neither mouth nor eyes."""

    region = "rest"
    convention = f"psnr/rest: as psnr/frame-mean outside of {_WHERE}"


class MouthError(RegionError):
    """Mean absolute error of the mouth."""

    region = "mouth"
    convention = f"mae/mouth: RGB uint8, mean of |difference|, mean over frames, over {_WHERE}"


class EyesError(RegionError):
    """Mean absolute error of the eyes."""

    region = "eyes"
    convention = f"mae/eyes: RGB uint8, mean of |difference|, mean over frames, over {_WHERE}"


class RestError(RegionError):
    """Mean absolute error of all that is neither mouth nor eyes."""

    region = "rest"
    convention = f"mae/rest: RGB uint8, mean of |difference|, mean over frames, outside of {_WHERE}"


class MouthSSIM(RegionSSIM):
    """SSIM of the mouth."""

    region = "mouth"
    convention = f"ssim/mouth: as ssim/wang2004, mean of windows centred in {_WHERE}"


class EyesSSIM(RegionSSIM):
    """SSIM of the eyes."""

    region = "eyes"
    convention = f"ssim/eyes: as ssim/wang2004, mean of windows centred in {_WHERE}"


def _span(occupied: Tensor, reach: int) -> slice:
    """From the first to the last true place of ``(N,)``, widened on both sides."""
    places = occupied.nonzero().flatten()
    return slice(int(places[0]) - reach, int(places[-1]) + reach + 1)
