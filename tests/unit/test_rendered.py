"""Rendered sets: made once, kept under a hash of settings and code, split by person."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

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


def test_a_clip_knows_the_emotion_that_is_drawn_for_its_person_and_seed():
    wanted = dataclasses.replace(WANTED, split="train", identities=9, clips_per_identity=2, frames=1)
    found = [clip.emotion for clip in render_set(wanted)]
    assert found == [render_clip(person, seed, 1, 32, audio=False).emotion for person, seed in wanted.draws()]
    assert len(set(found)) > 3


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


def test_a_set_with_sound_has_the_voice_of_its_clips_and_the_same_pictures():
    spoken = dataclasses.replace(WANTED, audio=True)
    (silent,), (clip,) = render_set(WANTED), render_set(spoken)
    person, seed = spoken.draws()[0]
    assert np.array_equal(clip.wave(), render_clip(person, seed, 3, 32).audio)
    assert (clip.wave().dtype, clip.wave().shape) == (np.float32, (3 * 640,))
    assert np.array_equal(clip.read(range(3)), silent.read(range(3)))
    assert silent.wave().shape == (0,)


def test_sound_has_a_folder_of_its_own_and_silent_sets_stay_where_they_were():
    assert dataclasses.replace(WANTED, audio=True).folder() != WANTED.folder()
    settings = {name: value for name, value in dataclasses.asdict(WANTED).items() if name not in ("audio", "staging")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in sorted(Path(rendered.synthetic.__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    assert WANTED.folder().name == digest.hexdigest()[:16]


def test_a_clip_is_streamed_whole_and_named_after_its_set_and_seed():
    two = [dataclasses.replace(WANTED, frames=frames) for frames in (3, 4)]
    clips = [render_set(wanted)[0] for wanted in two]
    assert [len(batch) for batch in clips[0].stream(2)] == [2, 1]
    assert np.array_equal(np.concatenate(list(clips[0].stream(2))), clips[0].read(range(3)))
    assert clips[0].fingerprint() == render_set(two[0])[0].fingerprint()
    assert clips[0].fingerprint() != clips[1].fingerprint()


def test_two_processes_that_want_a_new_set_draw_it_once():
    program = (
        "import sys; from talkingface.data import rendered; drawn = rendered._render\n"
        "rendered._render = lambda *args: (print('drawn'), drawn(*args))\n"
        "wanted = rendered.RenderedSet('test', 3, 1, 3, 32, 0)\n"
        "assert len(rendered.render_set(wanted)[0]) == 3"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(said) == ["", "drawn\n"]
