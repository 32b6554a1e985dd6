"""Closer views of the synthetic people."""

import numpy as np
import pytest

from talkingface.core.errors import ConfigError
from talkingface.data.rendered import RenderedSet
from talkingface.data.synthetic import Framing, render_clip
from talkingface.evaluation.face_reader import read_faces
from talkingface.evaluation.synthetic import cross_reenactments


def test_a_closer_view_is_cut_from_the_frame_and_its_labels_go_with_it():
    whole, close = (render_clip(3, 5, 2, size, audio=False, framing=share) for size, share in ((128, 1.0), (64, 0.5)))
    view = Framing(64, 0.5)
    assert np.array_equal(close.frames, view.cut(whole.frames))
    assert np.allclose(view.outside(close.landmarks), whole.landmarks, atol=1e-6)
    assert np.allclose(close.scale, 2 * whole.scale)
    assert np.allclose(close.location, close.landmarks[:, 30, 0])
    assert not np.allclose(close.landmarks, whole.landmarks, atol=0.02)


def test_the_reader_reads_a_closer_view_as_it_is():
    clip = render_clip(1_000_000, 5, 8, 64, audio=False, framing=0.7)
    error = (read_faces(clip.frames).landmarks - clip.landmarks).abs().mean()
    moved = (read_faces(clip.frames).landmarks - clip.landmarks[::-1].copy()).abs().mean()
    assert error < 0.012 < moved  # fractions of the view


def test_another_person_is_drawn_in_the_same_view():
    wide, close = (next(cross_reenactments([3, 4], 3, 2, size, share)) for size, share in ((128, 1.0), (64, 0.5)))
    assert np.abs(Framing(64, 0.5).cut(wide.picture).astype(int) - close.picture).mean() < 1
    assert np.allclose(Framing(64, 0.5).inside(wide.truth.landmarks.numpy()), close.truth.landmarks, atol=1e-3)


def test_a_set_of_whole_frames_keeps_its_place_and_a_closer_one_has_its_own():
    silent = RenderedSet("train", 10, 1, 4, 64, 0)
    assert silent.folder().name == RenderedSet("train", 10, 1, 4, 64, 0, framing=1.0).folder().name
    assert silent.folder() != RenderedSet("train", 10, 1, 4, 64, 0, framing=0.7).folder()


@pytest.mark.parametrize("share", [0.0, 1.2])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        Framing(64, share)
