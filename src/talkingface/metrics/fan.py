"""68 landmarks by face-alignment's 2DFAN-4: the extractor ``landmarks``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from talkingface.core.component import load_exactly
from talkingface.core.errors import WeightsError
from talkingface.core.tensors import read_tensors
from talkingface.metrics.track import Extractor, Track

BATCH = 8  # faces at once, 256×256 each
REFERENCE = 195.0  # side of the face box, in pixels, for which the network's crop has scale 1
SIDE = 200.0  # of the crop at scale 1, in pixels
RISE = 0.12  # of the box's height: FAN's crop lies that much above the box's centre


class FANLandmarks(Extractor):
    """Landmarks as face-alignment finds them, in the face that the extractor ``face`` found.

    The library's own object is not used: it would load a face detector of its own, download what is missing, and
    compile. Its network and its crop are.
    """

    networks = ("fan",)
    convention = (
        "landmarks/2dfan4: face-alignment's 2DFAN-4 with its mirrored pass, box of the feature 'face' at scale "
        "(width + height)/195, 68 iBUG points that follow the visible contour, pixels"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        try:
            from face_alignment.models import FAN  # slow to import: it brings OpenCV and Numba
        except ImportError as error:
            raise WeightsError(
                f"face-alignment cannot be imported ({error}). OpenCV needs the system's libGL and glib: "
                "apt install libgl1 libglib2.0-0."
            ) from error

        path = self.files["fan"]
        with torch.device("meta"):
            network = FAN(4)
        network = network.to_empty(device="cpu")
        # Published before PyTorch counted the batches of a normalisation; the count is not used in evaluation.
        counters = {name: value.zero_() for name, value in network.state_dict().items() if name.endswith("_tracked")}
        load_exactly(network, counters | read_tensors(path), str(path))
        self.network = network.eval().requires_grad_(False).to(self.device)

    def extract(self, track: Track) -> Tensor:
        """Pixels ``(T, 68, 2)`` float32, x then y; NaN where ``face`` found nothing."""
        boxes = track.feature("face")[:, :4]
        points = torch.full((len(track), 68, 2), torch.nan)
        found = (~boxes.isnan().any(1)).nonzero()[:, 0]
        for start in range(0, len(found), BATCH):
            rows = found[start : start + BATCH]
            points[rows] = self._read(track.data[rows], boxes[rows].double())
        return points

    @torch.inference_mode()
    def _read(self, frames: Tensor, boxes: Tensor) -> Tensor:
        from face_alignment.utils import crop, flip

        sides = boxes[:, 2:] - boxes[:, :2]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 - torch.tensor([0.0, RISE]) * sides
        scales = sides.sum(1) / REFERENCE
        images = frames.permute(0, 2, 3, 1).contiguous().numpy()
        crops = np.stack([crop(*of) for of in zip(images, centres.numpy(), scales.numpy(), strict=True)])
        faces = torch.from_numpy(crops).permute(0, 3, 1, 2).float().div(255).to(self.device)
        heatmaps = self.network(faces)[-1] + flip(self.network(flip(faces))[-1], is_label=True)
        return read_heatmaps(heatmaps.float().cpu(), centres, scales)


def read_heatmaps(heatmaps: Tensor, centres: Tensor, scales: Tensor) -> Tensor:
    """Peaks of heatmaps as pixels of the frame, by face-alignment's rule (its own code takes Numba 13 s to compile).

    A peak is moved a quarter of a cell towards its higher neighbour; pixels are whole numbers, cut off.

    Args:
        heatmaps: ``(N, 68, S, S)``.
        centres: of the crops in the frame, ``(N, 2)``, x then y.
        scales: of the crops, whose side is 200 pixels times this, ``(N,)``.

    Returns:
        ``(N, 68, 2)`` float32, x then y.
    """
    size = heatmaps.shape[-1]
    flat = heatmaps.flatten(2)
    peak = flat.argmax(-1)
    x, y = peak % size, peak // size
    inside = (x > 0) & (x < size - 1) & (y > 0) & (y < size - 1)

    def slope(step: int) -> Tensor:
        at = torch.where(inside, peak, size + 1)  # any cell with neighbours
        difference = (flat.gather(2, (at + step)[..., None]) - flat.gather(2, (at - step)[..., None]))[..., 0]
        return difference.sign() * inside

    where = torch.stack((x + 0.25 * slope(1), y + 0.25 * slope(size)), -1).double() + 0.5
    frame = (where / size - 0.5) * (SIDE * scales)[:, None, None] + centres[:, None]
    return frame.trunc().float()
