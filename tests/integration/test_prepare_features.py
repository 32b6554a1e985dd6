"""What training reads of a prepared set from the cache is made ahead of it, by the same code, under the same names."""

import pytest
import yaml

from integration.generation_run import representation
from media_files import make_video, tone
from talkingface.audio import MelSpeech
from talkingface.cli import main
from talkingface.data.synthetic import render_clip
from talkingface.motion import LatentMotion

CLIPS = {"a": "train", "b": "train", "c": "val"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "tracks"


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    lines = ["path,identity,split"]
    for number, (name, split) in enumerate(CLIPS.items()):
        make_video(root / f"{name}.mp4", render_clip(number, 0, 16, 64, audio=False).frames, sound=tone(0.64))
        lines.append(f"{name}.mp4,{name},{split}")
    (root / "manifest.csv").write_text("\n".join(lines))
    return root


@pytest.fixture
def arguments(clips, tmp_path):
    """A tiny training of stage 2."""
    windows = {
        "size": 64,
        "frames": 10,
        "batch_size": 2,
        "windows_per_clip": 2,
        "val_windows_per_clip": 1,
        "workers": 0,
    }
    generator = {"dim": 24, "blocks": 1, "static": 4, "hidden": 4, "teacher_forcing": True}
    stage1 = representation(tmp_path / "stage1")
    model = {
        "representation": str(stage1),
        "audio_encoder": {"class_path": "mel", "init_args": {"dim": 8, "blocks": 1}},
    }
    model["motion_generator"] = {"class_path": "talkingface.generators.ConformerDiffusion", "init_args": generator}
    config = {
        "model": {"class_path": "talkingface.tasks.Generation", "init_args": model},
        "data": {
            "class_path": "folder-clips",
            "init_args": {"root": str(clips), "manifest": str(clips / "manifest.csv"), **windows},
        },
        "trainer": {"max_steps": 1, "accelerator": "cpu", "logger": False, "enable_checkpointing": False},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(config))
    return ["-c", str(tmp_path / "recipe.yaml")]


def content(cache):
    return {path.relative_to(cache): path.stat().st_mtime_ns for path in cache.rglob("*.npy")}


def test_training_reads_exactly_what_was_cached_and_adds_nothing(arguments, cache, monkeypatch):
    assert main(["prepare", "--features", *arguments]) == 0
    made = content(cache)
    assert len(made) == 2 * len(CLIPS)  # motion and speech

    def fail(*given):
        raise AssertionError("an encoder ran although everything was cached")

    monkeypatch.setattr(LatentMotion, "motion_of", fail)
    monkeypatch.setattr(MelSpeech, "features", fail)
    assert main(["fit", *arguments]) == 0
    assert content(cache) == made
    (cache / sorted(made)[0]).unlink()  # the control
    with pytest.raises(AssertionError, match="an encoder ran"):
        main(["fit", *arguments])


def test_training_alone_makes_the_same_files(arguments, cache):
    assert main(["prepare", "--features", *arguments]) == 0
    ahead = {path: (cache / path).read_bytes() for path in content(cache)}
    for path in ahead:
        (cache / path).unlink()
    assert main(["fit", *arguments]) == 0
    assert {path: (cache / path).read_bytes() for path in content(cache)} == ahead


def test_interrupted_it_goes_on_at_the_next_clip(arguments, cache):
    assert main(["prepare", "--features", *arguments]) == 0
    made = content(cache)
    lost = sorted(made)[0]
    (cache / lost).unlink()
    assert main(["prepare", "--features", *arguments]) == 0
    assert {path for path, time in content(cache).items() if made[path] != time} == {lost}


def test_another_encoder_gets_files_of_its_own(arguments, cache, tmp_path):
    assert main(["prepare", "--features", *arguments]) == 0
    before = content(cache)
    representation(tmp_path / "stage1", seed=1)
    assert main(["prepare", "--features", *arguments]) == 0
    added = content(cache).keys() - before.keys()
    assert len(added) == len(CLIPS)  # motion; speech is heard by the same encoder
    assert {path.parts[0] for path in added} == {"motion"}


def test_nothing_is_trained_and_no_run_is_begun(arguments, tmp_path):
    before = set(tmp_path.iterdir())
    assert main(["prepare", "--features", *arguments]) == 0
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"cache"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give the recipe that will be trained"),
        (["-c", "anitalker-stage3"], "there is no configuration file or recipe 'anitalker-stage3'"),
        (["-c", "anitalker-tiny-stage2", "--ckpt_path", "last"], "leave --ckpt_path out"),
    ],
)
def test_wrong_usage_is_one_line(options, message, capsys):
    assert main(["prepare", "--features", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
