"""Features of a track are found once, shared with re-ordered views, and asked for by name."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, UnscorableError, WeightsError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import Extractor, MeanMetric, ScoredClip, Track


class Counting(Extractor):
    """Mean brightness of each frame, or its change since the frame before."""

    convention = "brightness"

    def __init__(self, temporal: bool = False) -> None:
        super().__init__()
        self.temporal = temporal  # type: ignore[misc]
        self.seen = 0

    def extract(self, track: Track) -> Tensor:
        self.seen += len(track)
        brightness = track.data.float().mean((1, 2, 3))
        return brightness.diff(prepend=brightness[:1])[:, None] if self.temporal else brightness[:, None]


@pytest.fixture
def frames() -> Tensor:
    return torch.arange(0, 50, 10, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 4, 4)


def test_a_feature_is_found_once(frames):
    counting = Counting()
    track = Track(frames, {"light": counting})
    assert track.feature("light") is track.feature("light")
    assert counting.seen == 5


def test_a_view_takes_the_features_of_its_track(frames):
    counting = Counting()
    track = Track(frames, {"light": counting})
    view = track.select([4, 4, 0]).select([0, 2])
    assert view.feature("light")[:, 0].tolist() == [40.0, 0.0]
    assert counting.seen == 5  # the view was not looked at


def test_rows_look_only_at_the_frames_that_are_asked_for(frames):
    counting = Counting()
    track = Track(frames, {"light": counting})
    assert track.rows("light", [4, 0, 4])[:, 0].tolist() == [40.0, 0.0, 40.0]
    assert counting.seen == 2
    assert track.select([0, 1]).rows("light", [0, 1])[:, 0].tolist() == [0.0, 10.0]
    assert counting.seen == 3  # frame 0 was known
    assert track.feature("light")[:, 0].tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]


def test_what_depends_on_neighbours_is_found_anew_in_a_view(frames):
    counting = Counting(temporal=True)
    track = Track(frames, {"change": counting})
    assert track.feature("change")[:, 0].tolist() == [0, 10, 10, 10, 10]
    assert track.select([0, 2, 4]).feature("change")[:, 0].tolist() == [0, 20, 20]


def test_known_features_need_no_extractor_in_a_view_either(frames):
    track = Track(frames, {}, {"pose": torch.arange(5.0)})
    assert track.select([3]).feature("pose").tolist() == [3.0]
    with pytest.raises(UnscorableError, match="no landmarks"):
        track.feature("landmarks")


def test_nothing_is_loaded_for_what_a_file_says(frames):
    class Absent(dict[str, Extractor]):
        def get(self, name: str, default: Extractor | None = None) -> Extractor:  # type: ignore[override]
            raise WeightsError("its network is not on this machine")

    track = Track(frames, Absent(), {"pose": torch.arange(5.0)})
    assert track.select([1, 3]).feature("pose").tolist() == [1.0, 3.0]
    assert track.select([1, 3]).rows("pose", [1]).tolist() == [3.0]
    with pytest.raises(WeightsError):
        track.select([1]).feature("landmarks")


def test_a_clip_says_what_it_lacks(frames):
    clip = ScoredClip.of(ClipPrediction("a", frames, source=frames[0]), {"light": Counting()})
    assert clip["source"].shape == (1, 3, 4, 4)
    assert clip["video.light"].shape == (5, 1)
    assert clip["fps"] == 25.0
    for need in ("target", "target.light", "audio", "path"):
        with pytest.raises(UnscorableError, match=f"has no {need.partition('.')[0]}"):
            clip[need]


def test_a_metric_that_needs_what_no_clip_has_cannot_be_written():
    with pytest.raises(ConfigError, match=r"needs 'vidoe\.landmarks'"):

        class Misspelt(MeanMetric):
            needs = ("vidoe.landmarks",)


class Share(MeanMetric):
    """Values as they are given."""

    needs = ("video.light",)
    higher_is_better = True
    unit, range, convention, citation = "", (0.0, 255.0), "share/plain: as given", "nobody"

    def values(self, light: Tensor) -> Tensor:
        return light[:, 0]


class Punished(Share):
    penalty = 0.0


def test_lost_frames_are_left_out_and_counted_or_score_the_worst():
    light = torch.tensor([[8.0], [float("nan")], [4.0], [float("nan")]])
    for metric, value in ((Share(), 6.0), (Punished(), 3.0)):
        clip = ScoredClip("a", Track(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), {}, {"light": light}))
        score = metric.update_clip(clip)
        assert (score.value, score.lost, score.total) == (value, 2, 4)
        assert metric.compute() == value


def test_a_clip_in_which_nothing_is_found_is_in_no_mean():
    metric = Share()
    metric.update(torch.tensor([[5.0]]))
    score = metric._add(torch.tensor([float("nan")]))
    assert score.value != score.value
    assert metric.compute() == 5.0
