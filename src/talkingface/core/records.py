"""What flows between the rooms: plain dicts for batches, small frozen records for everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from torch import Tensor


class PairBatch(TypedDict):
    """Two frames of one clip, for training a motion representation."""

    source: Tensor  # (B,3,H,W) in [-1,1]
    driving: Tensor  # (B,3,H,W) in [-1,1]
    identity: Tensor  # (B,) int64, index within the data set
    clip_id: list[str]
    positive: NotRequired[Tensor]  # (B,3,H,W) the same person in another clip, augmented
    negative: NotRequired[Tensor]  # (B,3,H,W) another person, augmented
    negative_identity: NotRequired[Tensor]  # (B,) int64
    landmarks: NotRequired[Tensor]  # (B,2,68,2) of source and driving, fractions of the frame
    pose: NotRequired[Tensor]  # (B,2,3) yaw, pitch, roll in degrees


class ClipBatch(TypedDict):
    """Windows of speech and motion, for training a motion generator."""

    motion: Tensor  # (B,T,D)
    features: Tensor  # (B,L,T*rate/25,C), the audio encoder's
    start_motion: Tensor  # (B,D), of the frame before the window
    portrait: Tensor  # (B,C), code of that frame
    controls: Mapping[str, Tensor]  # pose (B,T,3) degrees, location (B,T), scale (B,T); NaN where unknown
    identity: Tensor  # (B,) int64
    clip_id: list[str]


class SyncBatch(TypedDict):
    """Faces and the sound of windows, for training an expert of lip synchrony."""

    frames: Tensor  # (B,5,3,H,W) in [-1,1]
    sound: Tensor  # (B,S) of these frames, see core.sync_window
    other: Tensor  # (B,S) of another time of the same clip
    clip_id: list[str]


class SyncSweepBatch(TypedDict):
    """The same for judging one: the sound of every offset."""

    frames: Tensor  # (B,5,3,H,W) in [-1,1]
    sweep: Tensor  # (B,2R+1,S) sound that begins R frames before the picture to R frames after it
    clip_id: list[str]


class EditBatch(TypedDict):
    """Windows of a video beside speech, for training an editor of expressions."""

    frames: Tensor  # (B,5,3,H,W) in [-1,1]
    landmarks: Tensor  # (B,5,68,2), fractions of the frame
    features: Tensor  # (B,L,(5+2m)*rate/25,C), the audio encoder's, of speech that begins m frames before the window
    sound: Tensor  # (B,S) of that speech, see core.sync_window
    clip_id: list[str]


@dataclass(frozen=True)
class Source:
    """All that depends on the portrait alone; computed once, used for every frame.

    Args:
        features: maps that the renderer warps, coarse first, each ``(B, C, h, w)`` or ``(B, C, d, h, w)``.
        identity: code of the portrait ``(B, C)``.
        motion: motion of the portrait itself ``(B, D)``.
        canonical: canonical keypoints ``(B, K, 3)`` where the representation has them.
    """

    features: tuple[Tensor, ...]
    identity: Tensor
    motion: Tensor
    canonical: Tensor | None = None

    def expand(self, batch: int) -> "Source":
        """One portrait seen as a batch, without copying.

        Args:
            batch: number of frames to render together; the record must hold one portrait or ``batch`` of them.
        """

        def widen(tensor: Tensor) -> Tensor:
            return tensor.expand(batch, *tensor.shape[1:])

        canonical = None if self.canonical is None else widen(self.canonical)
        return Source(tuple(map(widen, self.features)), widen(self.identity), widen(self.motion), canonical)

    def part(self, rows: slice) -> "Source":
        """Some of the portraits of the record."""
        canonical = None if self.canonical is None else self.canonical[rows]
        features = tuple(maps[rows] for maps in self.features)
        return Source(features, self.identity[rows], self.motion[rows], canonical)


@dataclass(frozen=True)
class RenderOutput:
    """A rendered frame and what explains it.

    Args:
        image: ``(B, 3, H, W)``, nominally in ``[-1, 1]``; not clamped, so that losses see what the network made.
        flow: where each pixel was taken from, ``(B, H, W, 2)`` in normalised coordinates, x then y.
        occlusion: how much of the warped source is shown, ``(B, 1, H, W)`` in ``[0, 1]``; the rest is painted.
    """

    image: Tensor
    flow: Tensor
    occlusion: Tensor


@dataclass(frozen=True)
class Condition:
    """What a motion generator is told.

    Args:
        audio: ``(B, T, A)``.
        start_motion: motion of the frame before the first, ``(B, D)``.
        portrait: code of the portrait, ``(B, C)``.
        controls: named tracks ``(B, T)`` or ``(B, T, n)``: pose in degrees, location and scale as fractions, emotion as
            the expression's difference from neutral; NaN leaves a frame free.
        mask: ``(B, T)`` bool, true where a frame exists.
        original: motion that the frames have before the speech, for generators that edit it, ``(B, T, D)``: that of
            the portrait, or of each frame of a video.
    """

    audio: Tensor
    start_motion: Tensor
    portrait: Tensor
    controls: Mapping[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    original: Tensor | None = None


@dataclass(frozen=True)
class ClipPrediction:
    """One predicted clip beside what it should have been, as evaluators read it.

    Args:
        clip_id: name of the clip.
        video: uint8 ``(T, 3, H, W)``.
        target: uint8 ``(T, 3, H, W)``, absent in cross-reenactment.
        source: the portrait, uint8 ``(3, H, W)``.
        audio: 16 kHz mono ``(S,)``.
        fps: frames a second.
    """

    clip_id: str
    video: Tensor
    target: Tensor | None = None
    source: Tensor | None = None
    audio: Tensor | None = None
    fps: float = 25.0
