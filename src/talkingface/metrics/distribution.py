"""Distances between the frames of many predicted clips and those of the real clips: FID, KID, and FVD for a plugin."""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.core.errors import ConfigError, UnscorableError
from talkingface.core.frozen import Frozen
from talkingface.metrics.base import ClipMetric
from talkingface.metrics.functional.frechet import frechet_distance, kernel_distance, moments
from talkingface.metrics.networks.inception import load_inception
from talkingface.metrics.track import Extractor, ScoredClip, Track

BATCH = 8  # frames
PREDICTED, HALF_A, HALF_B = range(3)  # the sets of rows; the two halves together are the real ones
ENOUGH = 10_000  # frames from which an FID of 2048 features is commonly compared; below, its bias is large


class InceptionFeatures(Extractor):
    """What the network of FID sees in each frame: ``(T, 2048)``, never NaN."""

    networks = ("inception-fid",)
    convention = (
        "inception/fid2015: TensorFlow Inception of 2015-12-05 by pytorch-fid's weights, pool3 2048-d, RGB / 255, "
        "bilinear to 299 px (align_corners False, no anti-aliasing), 2x - 1, float32"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        self.network = Frozen(load_inception(self.files["inception-fid"])).to(self.device)

    def extract(self, track: Track) -> Tensor:
        """Rows ``(T, 2048)``; see :meth:`Extractor.extract`."""
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            batches = [
                self.network(frames.to(self.device, memory_format=torch.channels_last).float() / 255).cpu()
                for frames in track.data.split(BATCH)
            ]
        return torch.cat(batches)


class DistributionMetric(ClipMetric):
    """A distance between two sets of features, which no single clip has.

    Frames are not paired: only rows with NaN are left out, on both sides. The real clips are kept in two halves, split
    by a hash of the clip's name, so that their distance from each other can be printed beside every value: the distance
    that nothing can be expected to beat at this number of frames.

    Args:
        stride: every n-th frame of a clip is taken; the network looks at no other.
        kwargs: of torchmetrics.

    Attributes:
        feature: name of the extractor that finds the rows.
        width: numbers in a row.

    Raises:
        ConfigError: for a stride below 1.
    """

    counts: Tensor
    clips: Tensor
    lost: Tensor
    unit = ""
    higher_is_better = False
    feature: ClassVar[str]
    width: ClassVar[int]

    def __init__(self, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if stride < 1:
            raise ConfigError(f"stride is {stride}; every frame is 1, every second 2.")
        self.stride = stride
        self.add_state("counts", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("lost", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor, clip_id: str) -> None:
        """Add one clip.

        Args:
            prediction: its features, float ``(T, width)``.
            target: those of the real clip, ``(T', width)``; the lengths may differ.
            clip_id: name of the clip, the same on both sides.

        Raises:
            ShapeError: rows of another width; nothing has been added then.
        """
        self._take(prediction[:: self.stride], target[:: self.stride], clip_id)

    def update_clip(self, clip: ScoredClip) -> None:
        """Add one clip as evaluators hold it; it has no value of its own. Only frames that count are looked at."""
        prediction, target = (self._strided(clip, need) for need in self.needs)
        self._take(prediction, target, clip.clip_id)
        self._computed = None
        self._update_count += 1

    def _strided(self, clip: ScoredClip, need: str) -> Tensor:
        side, _, feature = need.partition(".")
        track: Track | None = getattr(clip, side)
        if track is None:
            raise UnscorableError(f"has no {side}")
        extractor = track.extractors.get(feature)
        if extractor is not None and extractor.temporal:  # a row is a window, not a frame
            return track.feature(feature)[:: self.stride]
        return track.rows(feature, range(0, len(track), self.stride))

    def _take(self, prediction: Tensor, target: Tensor, clip_id: str) -> None:
        check_shape(prediction, ("T", self.width), "prediction")
        check_shape(target, ("T", self.width), "target")
        half = HALF_A + hashlib.sha256(clip_id.encode()).digest()[0] % 2
        self.clips += 1
        for which, rows in ((PREDICTED, prediction), (half, target)):
            found = rows[rows.isfinite().all(dim=1)].detach().cpu()
            self.counts[which] += len(found)
            if which == PREDICTED:
                self.lost += len(rows) - len(found)
            self._add(which, found)

    def compute(self) -> Tensor:
        """Distance of the predicted frames from the real ones, a float64 scalar; NaN below two frames."""
        return self._between((PREDICTED,), (HALF_A, HALF_B))

    def report(self) -> dict[str, Any]:
        """The value with what it must not be read without; collective over processes, as ``compute`` is.

        Returns:
            ``value``; ``n_pred`` and ``n_real``, rows compared; ``clips``; ``stride``; ``lost``, predicted rows in
            which nothing was found; ``real_vs_real``, the distance of the halves of the real rows, ``n_half_a`` and
            ``n_half_b`` of them (NaN where all clips fell into one half); ``warning``, empty where there is none.
        """
        with self.sync_context():
            predicted, half_a, half_b = self.counts.tolist()
            return {
                "value": float(self._between((PREDICTED,), (HALF_A, HALF_B))),
                "n_pred": predicted,
                "n_real": half_a + half_b,
                "clips": int(self.clips),
                "stride": self.stride,
                "lost": int(self.lost),
                "real_vs_real": float(self._between((HALF_A,), (HALF_B,))),
                "n_half_a": half_a,
                "n_half_b": half_b,
                "warning": self._warning(min(predicted, half_a + half_b)),
            }

    def _between(self, first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
        if any(int(self.counts[list(which)].sum()) < 2 for which in (first, second)):
            return torch.tensor(math.nan, dtype=torch.float64)
        return self._distance(first, second)

    @abstractmethod
    def _add(self, which: int, rows: Tensor) -> None:
        """Add rows to one of the three sets."""

    @abstractmethod
    def _distance(self, first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
        """Between two unions of sets, of two rows or more each."""

    def _warning(self, rows: int) -> str:
        return ""


class FrechetDistance(DistributionMetric):
    """Fréchet distance of the Gaussians of two sets of features; see
    :func:`talkingface.metrics.functional.frechet.frechet_distance`.

    Only sums are kept, so memory does not grow with the clips: for 2048 features 50 MB (three triangles of float64),
    taken when the first clip comes, and 35 to 70 MB more for each matrix while the distance is computed.
    """

    sums: Tensor
    products: Tensor
    range = (0.0, math.inf)
    citation = "Heusel et al. 2017, equation 6"

    def __init__(self, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(stride, **kwargs)
        self.add_state("sums", torch.zeros(3, self.width, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(3, 0, dtype=torch.float64), dist_reduce_fx="sum")

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics; a process that has seen no clip joins with zeros."""
        self._allocate()
        super().sync(*args, **kwargs)

    def _allocate(self) -> None:
        if self.products.shape[1] == 0:
            self.products = torch.zeros(3, self.width * (self.width + 1) // 2, dtype=torch.float64)

    def _add(self, which: int, rows: Tensor) -> None:
        self._allocate()
        rows = rows.double()
        self.sums[which] += rows.sum(0)
        self.products[which] += (rows.T @ rows)[_triangle(self.width)]  # symmetric: half of it is all

    def _distance(self, first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
        return frechet_distance(self._moments(first), self._moments(second))

    def _moments(self, which: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        rows = list(which)
        products = torch.zeros(self.width, self.width, dtype=torch.float64)
        products[_triangle(self.width)] = self.products[rows].sum(0)
        return moments(self.counts[rows].sum(), self.sums[rows].sum(0), products + products.triu(1).T)

    def _warning(self, rows: int) -> str:
        if rows <= self.width:
            return f"{rows} rows for {self.width} features: rank-deficient, compare with real_vs_real only"
        if rows < ENOUGH:
            return f"{rows} rows: biased upwards, compare only at equal counts, or use kid"
        return ""


class FID(FrechetDistance):
    """Fréchet Inception distance; below some ten thousand frames it is biased upwards, see :class:`KID`."""

    feature = "inception"
    width = 2048
    needs = ("video.inception", "target.inception")
    convention = (
        "fid/inception-pool3: Fréchet distance of 2048-d Inception features of all frames, unbiased covariance, float64"
    )


class FVD(FrechetDistance):
    """Fréchet video distance over windows of 16 frames, for an extractor ``i3d`` that a plugin brings.

    Such an extractor is temporal and gives one row a window: the 400 logits of I3D trained on Kinetics.
    """

    feature = "i3d"
    width = 400
    needs = ("video.i3d", "target.i3d")
    convention = (
        "fvd/i3d-logits: Fréchet distance of 400-d I3D features of 16-frame windows, unbiased covariance, float64"
    )
    citation = "Unterthiner et al. 2018, equation 2"


class KID(DistributionMetric):
    """Kernel Inception distance, unbiased at any number of frames; see
    :func:`talkingface.metrics.functional.frechet.kernel_distance`.

    A kernel needs every pair of frames, so features are kept: 8 KB for each frame of either side, 205 MB for 12,500
    predicted frames beside as many real ones. Time grows with the square of the frames; ``stride`` limits both.
    """

    predicted: list[Tensor]
    half_a: list[Tensor]
    half_b: list[Tensor]
    range = (-math.inf, math.inf)
    feature = "inception"
    width = 2048
    needs = ("video.inception", "target.inception")
    convention = "kid/poly3-all: unbiased MMD² of 2048-d Inception features, kernel (x·y/2048 + 1)³, all pairs, float64"
    citation = "Bińkowski et al. 2018, section 4"

    def __init__(self, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(stride, **kwargs)
        for name in self._sets():
            self.add_state(name, [], dist_reduce_fx="cat")

    @staticmethod
    def _sets() -> tuple[str, str, str]:
        return "predicted", "half_a", "half_b"

    def _add(self, which: int, rows: Tensor) -> None:
        # Flat and in float32: torchmetrics stands in for a process without clips by a flat float32 tensor.
        getattr(self, self._sets()[which]).append(rows.float().flatten())

    def _distance(self, first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
        return kernel_distance(self._rows(first), self._rows(second))

    def _rows(self, which: tuple[int, ...]) -> Tensor:
        found: list[Tensor] = []
        for index in which:
            state = getattr(self, self._sets()[index])  # one tensor instead of a list once processes have joined
            found += state if isinstance(state, list) else [state]
        return torch.cat(found).reshape(-1, self.width)


def _triangle(width: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of the upper triangle of a square matrix."""
    rows, columns = torch.triu_indices(width, width)
    return rows, columns
