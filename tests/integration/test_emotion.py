"""Takin-ADA's stage 2 from training to pictures: emotions are learnt from labels, exported, and asked for."""

import json

import numpy as np
import pytest
import torch

import talkingface
from integration.generation_run import TINY, run, task
from media_files import make_video, noise_pictures, tone
from talkingface.cli.main import main
from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import write_audio, write_picture
from talkingface.data.synthetic import EMOTIONS
from talkingface.generators import ConformerDiffusion
from talkingface.hub import save_model
from talkingface.motion import LivePortraitMotion
from talkingface.pipelines.animator import Animator
from talkingface.pipelines.export import export_checkpoint
from talkingface.renderers import FaceVid2VidRenderer

SPEECH = np.zeros(10 * 640, np.float32)


def emotional(motion, audio):
    return ConformerDiffusion(motion, audio, dim=24, blocks=1, static=4, hidden=4, emotions=EMOTIONS)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder after one epoch on synthetic people."""
    folder = tmp_path_factory.mktemp("emotion")
    torch.manual_seed(0)
    motion = LivePortraitMotion(size=64, width=0.0625)
    renderer = FaceVid2VidRenderer(motion, depth=4, **TINY)
    save_model(folder / "stage1", {"motion_encoder": motion, "renderer": renderer}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        run(task(folder / "stage1", motion_generator=emotional), folder / "run", 1, ema=True)
    export_checkpoint(folder / "run" / "epoch=0.ckpt", folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def animator(model):
    return talkingface.load(model, "cpu")


@pytest.fixture(scope="module")
def portrait():
    return noise_pictures(1, 64, 64)[0]


def speak(animator, portrait, **asked):
    """Motion of ten frames."""
    animation = animator.animate(portrait, audio=SPEECH, crop="none", steps=5, **asked)
    return torch.cat([*animation.motion.stream(8)])


def labelled(animator):
    emotion = animator.motion_generator.emotion
    return [name for name, seen in zip(emotion.names, emotion.labelled.tolist(), strict=True) if seen]


def test_training_learns_the_names_of_the_labels_that_it_sees(animator):
    names = labelled(animator)
    assert names
    offsets = [animator.motion_generator.emotion.named(name) for name in names]
    assert any(offset.any() for offset in offsets)


def test_emotions_and_their_strength_change_the_motion(animator, portrait):
    (name, *_), free = labelled(animator), speak(animator, portrait)
    told = [speak(animator, portrait, emotion=name, strength=strength) for strength in (0.0, 0.5, 0.5, 1.5)]
    assert torch.equal(told[1], told[2])
    assert not any(torch.equal(told[1], other) for other in (free, told[0], told[3]))


def test_an_emotion_changes_over_time(animator, portrait, tmp_path):
    name, *_ = labelled(animator)
    (tmp_path / "mood.csv").write_text(f"frame,emotion,strength\n0,none,\n4,{name},1.5\n")
    changing, free = speak(animator, portrait, emotion=tmp_path / "mood.csv"), speak(animator, portrait)
    assert not torch.equal(changing, free)


def test_a_picture_and_a_clip_lend_their_expression(animator, portrait, tmp_path):
    write_picture(tmp_path / "other.png", noise_pictures(2, 64, 64)[1])
    make_video(tmp_path / "clip.mp4", noise_pictures(6, 64, 64))
    free = speak(animator, portrait)
    for name in ("other.png", "clip.mp4"):
        animation = animator.animate(portrait, audio=SPEECH, crop="none", steps=5, emotion=tmp_path / name)
        assert animation.motion.files["emotion reference"] == tmp_path / name
        assert not torch.equal(torch.cat([*animation.motion.stream(8)]), free)


def test_a_reference_without_a_face_is_refused(animator, portrait, tmp_path):
    write_picture(tmp_path / "wall.png", np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(MediaError, match=r"no face found in .*wall\.png"):
        animator.animate(portrait, audio=SPEECH, crop=(0, 0, 64), emotion=tmp_path / "wall.png")


def test_what_cannot_be_is_refused(animator, portrait, tmp_path):
    with pytest.raises(ConfigError, match="there is no emotion 'hapy'; this model has: happy"):
        speak(animator, portrait, emotion="hapy")
    with pytest.raises(ConfigError, match="between 0"):
        speak(animator, portrait, emotion="happy", strength=2.0)
    with pytest.raises(ConfigError, match="strength is of an emotion"):
        speak(animator, portrait, strength=0.5)
    clip = make_video(tmp_path / "clip.mp4", noise_pictures(3, 64, 64))
    with pytest.raises(ConfigError, match="emotion can be asked of speech-driven motion"):
        animator.animate(portrait, driving=clip, crop="none", emotion="happy")


def test_a_generator_of_15_keypoints_cannot_move_a_model_of_21(animator):
    few = LivePortraitMotion(keypoints=15, size=64, width=0.0625)
    generator = emotional(few, animator.audio_encoder)
    with pytest.raises(ConfigError, match=r"52 numbers a frame \(15 keypoints\).* 70 numbers a frame \(21 keypoints\)"):
        Animator(animator.motion_encoder, animator.renderer, animator.audio_encoder, generator, device="cpu")


def test_the_command_tells_emotion_and_strength(animator, model, portrait, tmp_path, capsys):
    write_picture(tmp_path / "face.png", portrait)
    write_audio(tmp_path / "speech.wav", tone(0.4), 16000)
    name, *_ = labelled(animator)
    asked = ["animate", "--source", str(tmp_path / "face.png"), "--audio", str(tmp_path / "speech.wav"), "--json"]
    asked += ["--model", str(model), "--crop", "none", "--steps", "5", "--device", "cpu"]
    assert main([*asked, "-o", str(tmp_path / "told.mp4"), "--emotion", name, "--strength", "0.7"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 10
    assert main([*asked, "-o", str(tmp_path / "no.mp4"), "--emotion", "hapy"]) == 1
    assert "there is no emotion 'hapy'" in capsys.readouterr().err
