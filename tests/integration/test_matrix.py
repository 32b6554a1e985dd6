"""Every representation with every renderer and generator trains, saves, reloads and animates by config alone."""

import numpy as np
import pytest

from integration.matrix_run import GENERATORS, MOTIONS, RENDERERS, animated, export, learn_to_speak, moved_by_video
from media_files import make_video
from talkingface import registry
from talkingface.cli.matrix import matrix
from talkingface.data.synthetic import render_clip

HOW = {(cell.motion, cell.part): cell for cell in matrix() if cell.kind == "generator"}
SPEAKING = [cell for cell in HOW if HOW[cell].how == "yes" and "toy" not in cell]
REFUSED = [cell for cell in HOW if HOW[cell].how == "refused"]
SOUND = (0.1 * np.sin(np.arange(5 * 640) / 9)).astype(np.float32)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def stage1(tmp_path_factory):
    """Gives the model of a representation and a renderer, trained for one step when first asked for."""
    folder, models = tmp_path_factory.mktemp("stage1"), {}

    def model(motion, renderer):
        if (motion, renderer) not in models:
            models[motion, renderer] = moved_by_video(folder / f"{motion}-{renderer}", motion, renderer)
        return models[motion, renderer]

    return model


@pytest.fixture(scope="module")
def driving(tmp_path_factory):
    clip = render_clip(2, 5, frames=3, size=64, audio=False)
    return make_video(tmp_path_factory.mktemp("driving") / "clip.mp4", clip.frames)


def test_every_part_of_the_registry_is_in_the_matrix():
    assert set(MOTIONS) == set(registry.names("motion"))
    assert set(RENDERERS) == set(registry.names("renderer"))
    assert set(GENERATORS) == set(registry.names("generator"))


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_a_video_moves_a_portrait(motion, renderer, stage1, driving):
    model = stage1(motion, renderer)
    frames = animated(model, driving=driving)
    assert frames.shape == (3, 64, 64, 3)
    assert np.array_equal(frames, animated(model, driving=driving))


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize(("motion", "generator"), SPEAKING)
def test_speech_moves_a_portrait(motion, generator, renderer, stage1, tmp_path):
    assert learn_to_speak(tmp_path / "stage2", stage1(motion, renderer), generator) == 0
    model = export(tmp_path / "stage2")
    frames = animated(model, audio=SOUND, steps=2)
    assert frames.shape == (5, 64, 64, 3)
    assert np.array_equal(frames, animated(model, audio=SOUND, steps=2))


@pytest.mark.parametrize(("motion", "generator"), REFUSED)
def test_a_senseless_pair_is_refused_with_the_reason_before_anything_is_trained(
    motion, generator, stage1, tmp_path, capsys
):
    model = stage1(motion, "lia")
    capsys.readouterr()
    assert learn_to_speak(tmp_path / "stage2", model, generator) == 1
    assert "expression" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ckpt"))
