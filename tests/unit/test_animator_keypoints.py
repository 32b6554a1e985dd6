"""Animating with implicit keypoints: a network of 128 px whose motion encoder sees 64 (published: 512 and 256)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import talkingface
from talkingface.audio import MelSpeech
from talkingface.core.errors import ConfigError
from talkingface.core.images import to_float
from talkingface.core.media import VideoReader, VideoWriter, read_picture, write_picture
from talkingface.data.synthetic import render_clip
from talkingface.generators import Regression
from talkingface.motion import LatentMotion, LivePortraitMotion, Retargeting
from talkingface.pipelines.animator import Animator
from talkingface.renderers import FaceVid2VidRenderer, LIARenderer

CLIP = render_clip(0, 1, 3, 128, audio=False)
LANDMARKS = torch.from_numpy(CLIP.landmarks[0] * 128).float()


def landmarks(frames: np.ndarray) -> Tensor:
    """Those of the portrait, for any picture."""
    return LANDMARKS.expand(len(frames), -1, -1)


def parts(keypoints: int = 21) -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    motion = LivePortraitMotion(size=64, width=0.0625, keypoints=keypoints)
    renderer = FaceVid2VidRenderer(motion, size=64, output=128, width=0.0625, depth=2)
    retargeting = Retargeting(keypoints=keypoints)
    for network in (retargeting.stitching, retargeting.eyes, retargeting.lips):
        torch.nn.init.normal_(network[-1].weight, std=0.3)
    return {"motion_encoder": motion, "renderer": renderer, "retargeting": retargeting}


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator(**parts(), device="cpu")


@pytest.fixture(scope="module")
def driving(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("driving") / "clip.mp4"
    with VideoWriter(path, crf=0) as writer:
        writer.write(render_clip(2, 3, 3, 128, audio=False).frames)
    return path


def drawn(animator: Animator, driving: Path, **asked) -> np.ndarray:
    animation = animator.animate(CLIP.frames[0], driving=driving, crop="none", landmarks=landmarks, **asked)
    return np.concatenate(list(animation.frames()))


def test_a_renderer_that_enlarges_is_driven_by_frames_of_its_own_size(animator):
    source = animator.appearance(CLIP.frames[0])
    frames = animator.render(source, animator.motion(CLIP.frames))
    assert frames.shape == (3, 128, 128, 3)
    seen = functional.avg_pool2d(to_float(CLIP.frames), 2)
    with torch.no_grad():
        torch.testing.assert_close(animator.motion(CLIP.frames), animator.motion_encoder(seen))
    assert (animator.motion(CLIP.frames)[1] != animator.motion(CLIP.frames)[2]).any()
    assert np.ptp(frames) > 0


@torch.inference_mode()
def test_the_fused_renderer_draws_what_the_plain_one_draws(animator):
    assert animator.drawing is not animator.renderer
    source, motion = animator.appearance(CLIP.frames[0]), animator.motion(CLIP.frames)
    plain, fused = (net(source.expand(3), motion).image for net in (animator.renderer, animator.drawing))
    assert (plain - fused).abs().max() < 1e-3
    assert (plain[0] - plain[1]).abs().max() > 1e-3  # the control: another motion


def test_half_precision_draws_nearly_the_same(animator):
    half = Animator(animator.motion_encoder, animator.renderer, device="cpu", dtype=torch.bfloat16)
    source, motion = animator.appearance(CLIP.frames[0]), animator.motion(CLIP.frames)
    difference = np.abs(half.render(source, motion).astype(int) - animator.render(source, motion))
    assert 0 < difference.mean() < 2  # of 255


def test_relative_driving_begins_with_the_portrait_itself(animator, driving):
    itself = animator.render(seen := animator.appearance(CLIP.frames[0]), seen.motion)[0]
    first = drawn(animator, driving)[0].astype(int)
    assert np.abs(first - itself).max() <= 1
    assert np.abs(drawn(animator, driving, relative=False)[0].astype(int) - itself).max() > 1  # the control


def test_a_region_alone_can_be_driven(animator, driving):
    whole, lips, pose = (drawn(animator, driving, region=region)[2] for region in ("all", "lips", "pose"))
    assert not np.array_equal(whole, lips)
    assert not np.array_equal(pose, lips)


@pytest.mark.parametrize("asked", [{"stitch": True}, {"eyes": 0.5}, {"lips": 0.3}])
def test_what_the_retargeting_part_does_shows(animator, driving, asked):
    assert not np.array_equal(drawn(animator, driving, **asked), drawn(animator, driving))


def test_speech_is_retouched_as_driving_is():
    given = parts()
    hearing = MelSpeech(dim=8, blocks=0)
    speaking = {"audio_encoder": hearing, "motion_generator": Regression(given["motion_encoder"], hearing)}
    animator = Animator(**given, **speaking, device="cpu")

    def spoken(**asked) -> np.ndarray:
        wave = np.zeros(1280, np.float32)
        animation = animator.animate(CLIP.frames[0], audio=wave, crop="none", landmarks=landmarks, **asked)
        return np.concatenate(list(animation.frames()))

    assert spoken().shape == (2, 128, 128, 3)
    for asked in ({"stitch": True}, {"eyes": 0.5}):
        assert not np.array_equal(spoken(**asked), spoken())


def test_pasting_back_stitches_unless_told_otherwise(animator, driving):
    pasted = drawn(animator, driving, paste_back=True)
    assert np.array_equal(pasted, drawn(animator, driving, paste_back=True, stitch=True))
    assert not np.array_equal(pasted, drawn(animator, driving, paste_back=True, stitch=False))


def test_a_tilted_face_is_pasted_back_where_it_was(animator, driving):
    page = np.full((200, 260, 3), 90, np.uint8)
    page[40:168, 60:188] = CLIP.frames[0]
    animation = animator.animate(
        page,
        driving=driving,
        crop="landmarks",
        paste_back=True,
        landmarks=lambda frames: landmarks(frames) + torch.tensor([60.0, 40.0]),
    )
    (frame,) = next(animator.animate(page, driving=driving, crop="none").frames())[:1]
    assert frame.shape == (128, 128, 3)  # the control
    frames = np.concatenate(list(animation.frames()))
    assert frames.shape == (3, 200, 260, 3)
    assert np.array_equal(frames[:, :, :30], page[None, :, :30].repeat(3, 0))
    assert not np.array_equal(frames[0, 80:120, 100:140], page[80:120, 100:140])


def test_what_depends_on_the_portrait_alone_is_computed_once(animator, driving, monkeypatch):
    counts = {"appearance": 0, "open_eyes": 0, "landmarks": 0}

    def count(name: str, function):
        def counting(*given):
            counts[name] += 1
            return function(*given)

        return counting

    for owner, name in ((animator.renderer, "appearance"), (animator.retargeting, "open_eyes")):
        monkeypatch.setattr(owner, name, count(name, getattr(owner, name)))
    found = count("landmarks", landmarks)
    animation = animator.animate(CLIP.frames[0], driving=driving, crop="none", eyes=0.4, landmarks=found, batch=1)
    list(animation.frames())
    assert counts == {"appearance": 1, "open_eyes": 1, "landmarks": 1}


def test_the_retargeting_part_travels_with_a_saved_model(animator, driving, tmp_path):
    saved = {name: getattr(animator, name) for name in ("motion_encoder", "renderer", "retargeting")}
    talkingface.save_model(tmp_path / "model", saved, {})
    loaded = talkingface.load(tmp_path / "model", device="cpu")
    assert np.array_equal(
        drawn(loaded, driving, stitch=True, lips=0.3), drawn(animator, driving, stitch=True, lips=0.3)
    )


def test_a_part_for_other_keypoints_is_refused_with_both_numbers():
    wrong = parts(15) | {"retargeting": Retargeting(keypoints=21)}
    with pytest.raises(ConfigError, match=r"corrects 21 keypoints.* places 15"):
        Animator(**wrong, device="cpu")


def test_a_part_for_motion_without_keypoints_is_refused():
    motion = LatentMotion(size=64, width=0.0625, code_dim=32)
    with pytest.raises(ConfigError, match="places none"):
        Animator(motion, LIARenderer(motion, size=64, width=0.0625), retargeting=Retargeting(), device="cpu")


def test_a_profile_is_animated_and_said_so(animator, driving, monkeypatch):
    describe = animator.motion_encoder.describe

    def turned(image: Tensor) -> tuple[Tensor, Tensor]:
        motion, canonical = describe(image)
        motion[:, animator.motion_encoder.spec.slice("pose")] = torch.tensor([-70.0, 0.0, 0.0])
        return motion, canonical

    assert animator.animate(CLIP.frames[0], driving=driving, crop="none").notes == ()
    monkeypatch.setattr(animator.motion_encoder, "describe", turned)
    animation = animator.animate(CLIP.frames[0], driving=driving, crop="none")
    assert animation.notes == ("the portrait looks 70° to the side; beyond 45° results are poor.",)
    assert len(next(animation.frames())) == 3


@pytest.mark.parametrize("size", [(16, 16), (20, 50), (300, 90)])
def test_tiny_portraits_and_portraits_that_are_not_square_are_animated(animator, driving, size):
    portrait = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for paste_back, shape in ((False, (128, 128)), (True, size)):
        (frames,) = animator.animate(portrait, driving=driving, crop="none", paste_back=paste_back).frames()
        assert frames.shape == (3, *shape, 3)


def test_a_picture_drives_a_picture(animator, driving, tmp_path):
    write_picture(tmp_path / "other.png", VideoReader(driving).read([2])[0])
    animation = animator.animate(CLIP.frames[0], driving=tmp_path / "other.png", crop="none")
    told = []
    animation.save(tmp_path / "out.png", lambda *seen: told.append(seen))
    (frame,) = next(animation.frames())
    assert np.array_equal(read_picture(tmp_path / "out.png"), frame)
    assert told == [(1, 1)]
    assert len(VideoReader(animation.save(tmp_path / "out.mp4"))) == 1


def test_options_of_a_driving_video_are_refused_with_speech(animator):
    wave = np.zeros(640, np.float32)
    for asked in ({"relative": True}, {"region": "lips"}, {"crop_driving": True}):
        with pytest.raises(ConfigError, match="belong to a driving video"):
            animator.animate(CLIP.frames[0], audio=wave, crop="none", **asked)
