"""A clip with everything that networks see in it, each thing computed once and shared by all metrics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, UnscorableError
from talkingface.core.records import ClipPrediction
from talkingface.weights import find_weights, sha256


class Track:
    """Frames of a video, or the samples of a sound, and the features that extractors find in them.

    A feature is computed when it is first asked for. A re-ordered view (:meth:`select`) takes its features from the
    track it was cut from, so a frozen or shifted copy of a video costs no second look through a network.

    Args:
        data: uint8 frames ``(T, 3, H, W)``, or float samples ``(S,)`` at 16 kHz in ``[-1, 1]``.
        extractors: name → what finds that feature.
        known: features that are known already, such as landmarks from a file, ``(T, …)``.

    Attributes:
        path: the file that the frames were decoded from, where it is to be scored itself; a view has none.

    >>> track = Track(torch.arange(3).reshape(3, 1, 1, 1).expand(3, 3, 2, 2).byte(), {}, {"pose": torch.eye(3)})
    >>> view = track.select([2, 2])
    >>> view.data[:, 0, 0, 0].tolist(), view.feature("pose").tolist()
    ([2, 2], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    """

    def __init__(
        self, data: Tensor, extractors: Mapping[str, "Extractor"], known: Mapping[str, Tensor] | None = None
    ) -> None:
        self.data = data
        self.extractors = extractors
        self.path: Path | None = None
        self.known = dict(known or {})
        self._features: dict[str, Tensor] = {}
        self._rows: dict[str, dict[int, Tensor]] = {}  # of features that were not needed in every frame
        self._parent: tuple[Track, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def feature(self, name: str) -> Tensor:
        """What an extractor finds, one row a frame; a row is NaN where it found nothing.

        Args:
            name: of the extractor, or of a feature that was known from the start.

        Raises:
            UnscorableError: when this track has no such feature and nothing that could find it.
        """
        if name not in self._features:
            self._features[name] = self._find(name)
        return self._features[name]

    def rows(self, name: str, index: Any) -> Tensor:
        """Some rows of a feature, looking only at the frames that are asked for.

        Args:
            name: as :meth:`feature`.
            index: frame numbers ``(n,)``.

        Raises:
            UnscorableError: as :meth:`feature`.
        """
        wanted = torch.as_tensor(index, dtype=torch.long)
        track, frames = self.origin()
        extractor = None if name in track.known else self.extractors.get(name)
        if name in self._features or extractor is None or extractor.temporal:
            return self.feature(name)[wanted]
        if track is not self:
            return track.rows(name, frames[wanted])
        found = self._rows.setdefault(name, {})
        missing = sorted(set(wanted.tolist()) - found.keys())
        if missing:
            found.update(zip(missing, extractor.extract(Track(self.data[missing], self.extractors)), strict=True))
        return torch.stack([found[frame] for frame in wanted.tolist()])

    def select(self, index: Any) -> "Track":
        """A view of some frames, in any order.

        Args:
            index: frame numbers ``(n,)``, within the track.
        """
        rows = torch.as_tensor(index, dtype=torch.long)
        view = Track(self.data[rows], self.extractors)
        view._parent = (self, rows)
        return view

    def origin(self) -> tuple["Track", Tensor]:
        """The track that a view was cut from in the end, and the numbers of its frames that the view shows.

        For an extractor that is temporal, but need not look at every frame of a view anew. A track that is no view is
        its own origin.
        """
        track, rows = self, torch.arange(len(self))
        while track._parent is not None:
            track, above = track._parent
            rows = above[rows]
        return track, rows

    def _find(self, name: str) -> Tensor:
        track, frames = self.origin()
        if name in track.known:  # first, so that no network is loaded for what a file says
            return track.known[name][frames]
        extractor = self.extractors.get(name)
        if extractor is None:
            raise UnscorableError(f"has no {name}, and nothing was given that finds it")
        return extractor.extract(self) if track is self or extractor.temporal else track.feature(name)[frames]


class Extractor(ABC):
    """A frozen network, or a rule, that sees something in each frame of a track.

    Args:
        device: where it computes; what it finds comes back on the CPU.
        weights: name in the weights manifest → local file, for networks that do not lie where they are looked for.

    Attributes:
        networks: names in the weights manifest of what it loads.
        temporal: whether a row depends on neighbouring frames, so that a re-ordered view is looked at anew.
        convention: what exactly is done, from frame to feature; part of the protocol card.

    Raises:
        WeightsError: naming the command that fetches a network that is missing; an extractor is never random.
    """

    networks: ClassVar[tuple[str, ...]] = ()
    temporal: ClassVar[bool] = False
    convention: ClassVar[str]

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        self.device = torch.device(device)
        self.files = {name: find_weights(name, (weights or {}).get(name)) for name in self.networks}

    @abstractmethod
    def extract(self, track: Track) -> Tensor:
        """Rows ``(T, …)`` float32, NaN where nothing was found; other features may be asked of the track."""

    def describe(self) -> dict[str, Any]:
        """For the protocol card: the convention, and the SHA-256 of each file."""
        return {"convention": self.convention, "sha256": {name: sha256(path) for name, path in self.files.items()}}


@dataclass(frozen=True)
class ScoredClip:
    """One prediction beside its references, as metrics read it.

    Args:
        clip_id: name of the clip.
        video: the predicted frames.
        target: the true frames, as many as ``video``; in cross-reenactment maybe the portrait, repeated.
        source: the portrait, one frame.
        audio: the speech, 16 kHz mono.
        path: the predicted file, for metrics that replay a chain of codecs.
        fps: frames a second.
    """

    clip_id: str
    video: Track
    target: Track | None = None
    source: Track | None = None
    audio: Track | None = None
    path: Path | None = None
    fps: float = 25.0

    def __post_init__(self) -> None:
        if self.path is not None:
            self.video.path = self.path  # for extractors that replay a chain of codecs

    @classmethod
    def of(cls, clip: ClipPrediction, extractors: Mapping[str, Extractor] | None = None) -> "ScoredClip":
        """Wrap a prediction that lies in memory.

        Args:
            clip: the prediction.
            extractors: name → what finds that feature, for metrics that need any.
        """

        def track(data: Tensor | None) -> Track | None:
            return None if data is None else Track(data, extractors or {})

        source = None if clip.source is None else clip.source[None]
        video = Track(clip.video, extractors or {})
        return cls(clip.clip_id, video, track(clip.target), track(source), track(clip.audio), fps=clip.fps)

    def __getitem__(self, need: str) -> Any:
        """What a metric needs: ``"video"``, ``"target.landmarks"``, ``"path"``, ``"fps"``.

        Raises:
            UnscorableError: when the clip does not have it.
        """
        name, _, feature = need.partition(".")
        value = getattr(self, name, None)
        if value is None:
            raise UnscorableError(f"has no {name}")
        if not isinstance(value, Track):
            return value
        return value.feature(feature) if feature else value.data

    def with_video(self, video: Track) -> "ScoredClip":
        """The same clip with other frames in place of the predicted ones, as negative controls have it."""
        return replace(self, video=video, path=None)


def check_needs(needs: tuple[str, ...]) -> None:
    """Refuse a need that no clip could have.

    Args:
        needs: as :attr:`talkingface.metrics.ClipMetric.needs`.

    Raises:
        ConfigError: naming it.
    """
    for need in needs:
        if need.partition(".")[0] not in ScoredClip.__dataclass_fields__:
            raise ConfigError(f"a metric needs '{need}', but a clip has {', '.join(ScoredClip.__dataclass_fields__)}.")
