"""Closer views of the synthetic people, and calmer heads."""

import numpy as np
import pytest

from talkingface.core.errors import ConfigError
from talkingface.data import SyntheticPairs
from talkingface.data.rendered import RenderedSet
from talkingface.data.synthetic import EXPRESSIONS, USUAL, Framing, Staging, render_clip
from talkingface.evaluation.face_reader import read_faces
from talkingface.evaluation.synthetic import cross_reenactments


def test_a_closer_view_is_cut_from_the_frame_and_its_labels_go_with_it():
    whole, close = (
        render_clip(3, 5, 2, size, audio=False, staging=Staging(share)) for size, share in ((128, 1.0), (64, 0.5))
    )
    view = Framing(64, 0.5)
    assert np.array_equal(close.frames, view.cut(whole.frames))
    assert np.allclose(view.outside(close.landmarks), whole.landmarks, atol=1e-6)
    assert np.allclose(close.scale, 2 * whole.scale)
    assert np.allclose(close.location, close.landmarks[:, 30, 0])
    assert not np.allclose(close.landmarks, whole.landmarks, atol=0.02)


def test_the_reader_reads_a_closer_view_as_it_is():
    clip = render_clip(1_000_000, 5, 8, 64, audio=False, staging=Staging(0.7))
    error = (read_faces(clip.frames).landmarks - clip.landmarks).abs().mean()
    moved = (read_faces(clip.frames).landmarks - clip.landmarks[::-1].copy()).abs().mean()
    assert error < 0.012 < moved  # fractions of the view


def test_another_person_is_drawn_in_the_same_view():
    wide, close = (
        next(cross_reenactments([3, 4], 3, 2, size, Staging(share))) for size, share in ((128, 1.0), (64, 0.5))
    )
    assert np.abs(Framing(64, 0.5).cut(wide.picture).astype(int) - close.picture).mean() < 1
    assert np.allclose(Framing(64, 0.5).inside(wide.truth.landmarks.numpy()), close.truth.landmarks, atol=1e-3)


def test_a_set_of_whole_frames_keeps_its_place_and_a_closer_one_has_its_own():
    silent = RenderedSet("train", 10, 1, 4, 64, 0)
    assert silent.folder().name == RenderedSet("train", 10, 1, 4, 64, 0, staging=Staging(1.0)).folder().name
    assert silent.folder() != RenderedSet("train", 10, 1, 4, 64, 0, staging=Staging(0.7)).folder()


@pytest.mark.parametrize("share", [0.0, 1.2])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        Framing(64, share)


def test_calm_heads_move_less_and_say_the_same():
    lively, calm, still = (
        render_clip(3, 5, 50, 32, staging=Staging(liveliness=factor)) for factor in (1.0, 1 / 3, 0.0)
    )
    assert np.array_equal(lively.audio, calm.audio)
    mouth = [EXPRESSIONS.index(name) for name in ("jaw", "lip_part", "press", "rounding")]
    assert np.array_equal(lively.expression[:, mouth], calm.expression[:, mouth])
    for moves in (lambda clip: clip.pose, lambda clip: clip.location, eyes_apart):
        wide, near, none = (moves(clip).std(0) for clip in (lively, calm, still))
        assert np.all(near < 0.55 * wide)  # a third, but lively heads meet their limits
        assert np.all(none < 0.1 * wide)


def eyes_apart(clip):
    """How near a head is; brow to chin also changes when it speaks."""
    return np.linalg.norm(clip.landmarks[:, 36] - clip.landmarks[:, 45], axis=1)


def test_negative_liveliness_is_refused():
    with pytest.raises(ConfigError, match="0 or more"):
        Staging(liveliness=-1)


def test_a_data_module_films_as_it_is_told():
    calm, lively = (SyntheticPairs(32, identities=3, frames=25, liveliness=factor) for factor in (0.3, 1.0))
    spread = [float(module.clips("val")[0].truth(range(25))["pose"].std(0).mean()) for module in (calm, lively)]
    assert spread[0] < 0.45 * spread[1]
    assert Staging.of({"framing": 0.7, "liveliness": 0.3, "size": 64}) == Staging(0.7, 0.3)
    assert Staging.of({}) == USUAL
