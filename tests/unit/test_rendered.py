"""Rendered sets: made once, kept under a hash of settings and code, split by person."""

import dataclasses

import numpy as np
import pytest

from talkingface.data import rendered
from talkingface.data.rendered import RenderedSet, render_set
from talkingface.data.synthetic import render_clip

WANTED = RenderedSet("val", identities=4, clips_per_identity=1, frames=3, size=32, seed=0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path))


def test_a_clip_is_what_the_renderer_draws_for_its_person_and_seed():
    (clip,) = render_set(WANTED)
    person, seed = WANTED.draws()[0]
    truth = render_clip(person, seed, 3, 32, audio=False)
    assert np.array_equal(clip.read([0, 2]), truth.frames[[0, 2]])
    labels = clip.truth([2])
    assert np.array_equal(labels["landmarks"][0], truth.landmarks[2])
    assert np.array_equal(labels["pose"][0], truth.pose[2])


def test_a_set_is_rendered_once(monkeypatch):
    render_set(WANTED)
    monkeypatch.setattr(rendered, "_render", lambda *args: pytest.fail("rendered again"))
    assert len(render_set(WANTED)) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 64}, {"frames": 4}, {"split": "test"}])
def test_other_settings_have_another_folder(change):
    assert dataclasses.replace(WANTED, **change).folder() != WANTED.folder()


def test_changed_drawing_code_never_meets_old_pictures(monkeypatch, tmp_path):
    before = WANTED.folder()
    (tmp_path / "__init__.py").write_text("# another renderer\n")
    monkeypatch.setattr(rendered.synthetic, "__file__", str(tmp_path / "__init__.py"))
    assert WANTED.folder() != before


def test_nobody_is_in_two_splits():
    people = [
        {person for person, _ in RenderedSet(split, 20, 2, 3, 32, 0).draws()} for split in ("train", "val", "test")
    ]
    assert not people[0] & people[1]
    assert not people[0] & people[2]
    assert not people[1] & people[2]


def test_an_interrupted_rendering_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(rendered.np, "save", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        render_set(WANTED)
    assert not WANTED.folder().exists()
    assert list(tmp_path.rglob("*.npy")) == []
