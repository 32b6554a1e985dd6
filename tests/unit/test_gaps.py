"""Frames of which nothing is known: in motion, in a driving video, in encoded clips."""

import numpy as np
import pytest
import torch

import talkingface
from media_files import make_video
from talkingface.audio import MelSpeech
from talkingface.core.errors import MediaError
from talkingface.core.gaps import filled
from talkingface.core.interfaces import ControlReader
from talkingface.data.synthetic import render_clip
from talkingface.data.tracks import TrackCache
from talkingface.evaluation import SyntheticControls
from talkingface.motion import LandmarkMotion
from talkingface.renderers import LIARenderer

NAN = float("nan")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))


def track(*values):
    return torch.tensor(values)[:, None].expand(-1, 2).clone()


@pytest.mark.parametrize(
    ("motion", "before", "expected"),
    [
        ((1.0, NAN, NAN, 2.0), None, [1, 1, 1, 2]),
        ((NAN, 1.0, 2.0), None, [1, 1, 2]),
        ((NAN, 1.0, NAN), 5.0, [5, 1, 1]),
        ((NAN, NAN), 5.0, [5, 5]),
        ((1.0, 2.0), 5.0, [1, 2]),
    ],
)
def test_what_is_known_goes_on(motion, before, expected):
    found = filled(track(*motion), None if before is None else track(before))
    assert found[:, 0].tolist() == expected


def test_a_frame_with_one_unknown_number_is_unknown():
    assert filled(torch.tensor([[1.0, 2.0], [3.0, NAN]])).tolist() == [[1, 2], [1, 2]]


def test_where_nothing_is_known_nothing_is_made_up():
    assert filled(track(NAN, NAN)).isnan().all()


class Sees(ControlReader):
    """The reader of drawn faces, which finds none in dark pictures."""

    def __init__(self):
        super().__init__()

    def read(self, clip, frames=None):
        found = SyntheticControls().read(None, frames)
        found["landmarks"][frames.mean((1, 2, 3)) < 10] = NAN
        return found


@pytest.fixture
def animator():
    torch.manual_seed(0)
    encoder = LandmarkMotion(reader=Sees())
    return talkingface.Animator(encoder, LIARenderer(encoder, size=64, width=0.0625), device="cpu")


def driving(tmp_path, *dark):
    frames = render_clip(3, 1, frames=6, size=64, audio=False).frames.copy()
    portrait = frames[0].copy()
    frames[list(dark)] = 0
    return portrait, make_video(tmp_path / "driving.mp4", frames)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_where_a_driving_video_shows_no_face_the_last_motion_stays(tmp_path, animator, batch):
    portrait, video = driving(tmp_path, 2, 3)
    motion = torch.cat(list(animator.animate(portrait, driving=video, crop="none").motion.stream(batch)))
    assert torch.equal(motion[2], motion[1])
    assert torch.equal(motion[3], motion[1])
    assert not torch.equal(motion[4], motion[1])


def test_a_driving_video_that_begins_without_a_face_is_refused(tmp_path, animator):
    portrait, video = driving(tmp_path, 0, 1)
    with pytest.raises(MediaError, match="no face is found in the first frames of the driving video"):
        list(animator.animate(portrait, driving=video, crop="none", batch=2).frames())


def test_a_portrait_without_a_face_is_refused(tmp_path, animator):
    portrait, video = driving(tmp_path)
    with pytest.raises(MediaError, match="no face is found in the portrait"):
        list(animator.animate(0 * portrait, driving=video, crop="none").frames())


class Spoken:
    """A clip with sound whose labels somebody may know."""

    clip_id = identity = "one"

    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return len(self.frames)

    def stream(self, batch):
        for first in range(0, len(self), batch):
            yield self.frames[first : first + batch]

    def wave(self):
        return np.zeros(640 * len(self), np.float32)

    def fingerprint(self):
        return "content"


def encoded(clip, reader, labels=None):
    labels_of = None if labels is None else lambda clip: labels
    tracks = TrackCache(LandmarkMotion(reader=reader), MelSpeech(dim=8, blocks=0), 64, labels_of)
    unreadable = tracks.encode([clip], torch.device("cpu"), "encoding")
    found = tracks.find(clip)
    return unreadable, None if found is None else found.rows(0, len(clip))[0]


def test_encoded_clips_believe_their_labels_and_are_looked_at_without():
    clip = render_clip(3, 1, frames=6, size=64, audio=False)
    truth = torch.tensor(clip.landmarks)
    _, told = encoded(Spoken(clip.frames), None, {"landmarks": truth})
    assert torch.equal(told, LandmarkMotion().of_labels({"landmarks": truth}))
    _, seen = encoded(Spoken(clip.frames), SyntheticControls())
    assert not torch.equal(told, seen)
    assert (told - seen).abs().mean() < 0.05


def test_other_labels_never_meet_old_tracks():
    clip = Spoken(render_clip(3, 1, frames=6, size=64, audio=False).frames)
    for value in (0.25, 0.75):
        _, told = encoded(clip, None, {"landmarks": torch.full((6, 68, 2), value)})
        assert (told == 2 * value - 1).all()


class Network(Sees):
    """A reader whose network file was replaced by another of the same name."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.content = content

    @property
    def config(self):
        return Sees().config

    def fingerprint(self):
        return self.content

    def read(self, clip, frames=None):
        found = super().read(clip, frames)
        return {name: track + float(self.content) for name, track in found.items()}


def test_another_network_of_the_same_name_never_meets_old_tracks():
    clip = Spoken(render_clip(3, 1, frames=6, size=64, audio=False).frames)
    first, second = (encoded(clip, Network(content))[1] for content in ("1", "2"))
    torch.testing.assert_close(second, first + 2)  # landmarks span two units of motion


def test_gaps_in_encoded_clips_are_filled():
    frames = render_clip(3, 1, frames=20, size=64, audio=False).frames.copy()
    frames[15:18] = 0  # over the border of two batches
    unreadable, motion = encoded(Spoken(frames), Sees())
    assert unreadable == {}
    assert torch.equal(motion[17], motion[14])


def test_a_clip_without_any_face_is_left_out_with_the_reason():
    unreadable, motion = encoded(Spoken(np.zeros((6, 64, 64, 3), np.uint8)), Sees())
    assert "no face is found in one" in unreadable["one"]
    assert motion is None
