"""LivePortrait and the unofficial face-vid2vid from pictures to picture, through the converter that users get."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from parity import facevid2vid_inputs as inputs
from parity.test_facevid2vid_renderer import PICTURES, close
from talkingface.convert import parts_from_checkpoint
from talkingface.core.records import RenderOutput, Source
from talkingface.motion import driving
from talkingface.pipelines.driven import following
from talkingface.pipelines.retouch import Retouch

SECTION = "facevid2vid"
LIVEPORTRAIT = {
    "appearance_feature_extractor": "F_appearance_feature_extractor",
    "motion_extractor": "M_motion_extractor",
    "warping_module": "W_warping_module",
    "spade_generator": "G_spade_generator",
    "retarget_shoulder": "S_stitching",
    "retarget_eye": "S_eye",
    "retarget_mouth": "S_lip",
}
POINTS = 1e-5
NAMES = ("source_image", "driving_image_1", "driving_image_2")


class LivePortrait:
    """The converted model, and motion and canonical keypoints of the three pictures."""

    def __init__(self, oracle: Callable[[str, str], Any]) -> None:
        self.numbers = {name: oracle(SECTION, name) for name in ("lp_pipeline", "lp_S")}
        draws = self.numbers["lp_pipeline"]
        tree = {level: inputs.filled(draws, f"liveportrait_{keys}_keys.json") for level, keys in LIVEPORTRAIT.items()}
        parts = parts_from_checkpoint("liveportrait", tree)
        self.motion, self.renderer, self.retargeting = parts.values()
        images = torch.cat([inputs.image(draws, name) for name in NAMES]) * 2 - 1
        with torch.no_grad():
            motion, canonical = self.motion.describe(images)
            self.source: Source = self.renderer.appearance(images[:1])
        self.portrait, self.start, self.driving = motion.split(1)
        self.own, self.other, _ = self.motion.spec.keypoints(motion, canonical).split(1)

    def points(self, motion: Tensor) -> Tensor:
        return self.motion.spec.keypoints(motion, self.source.canonical)

    @torch.no_grad()
    def render(self, keypoints: Tensor) -> RenderOutput:
        spec = self.motion.spec
        return self.renderer(self.source, spec.with_keypoints(self.portrait, self.source.canonical, keypoints))


@pytest.fixture(scope="module")
def living(oracle: Callable[[str, str], Any]) -> LivePortrait:
    return LivePortrait(oracle)


@torch.no_grad()
def relative(living: LivePortrait) -> Tensor:
    return living.points(driving.relative(living.portrait, living.driving, living.start))


def test_relative_driving(living):
    numbers = living.numbers["lp_pipeline"]
    close(numbers, "x_s", living.own, POINTS)
    close(numbers, "x_relative", relative(living), POINTS)


def test_control_absolute_driving_is_another(living):
    found = living.points(driving.absolute(living.portrait, living.driving))
    with pytest.raises(AssertionError):
        close(living.numbers["lp_pipeline"], "x_relative", found, POINTS)


def test_size_ratio_of_expression_friendly_driving(oracle):
    numbers = oracle(SECTION, "lp_pipeline")
    portrait, composed = (inputs.expected(numbers, name) for name in ("x_s", "x_relative"))
    close(numbers, "motion_multiplier", torch.tensor(driving.size_ratio(portrait, composed)), POINTS)


@torch.no_grad()
def test_relative_driving_stitched_and_rendered(living):
    numbers = living.numbers["lp_pipeline"]
    stitched = living.retargeting.stitch(living.own, relative(living))
    close(numbers, "x_stitched", stitched, POINTS)
    rendered = living.render(stitched)
    close(numbers, "image_relative", rendered.image / 2 + 0.5, PICTURES)


@torch.no_grad()
def test_animating_drives_and_stitches_as_the_published_pipeline(living):
    """By what ``Animator.animate`` is made of; the control does not stitch."""
    spec = living.motion.spec
    follow = following(spec, living.source, relative=None, region="all", still=False)
    motion = follow(living.driving, living.start)
    stitched, moved = (Retouch(living.retargeting, spec, living.source, stitch)(motion) for stitch in (True, False))
    numbers = living.numbers["lp_pipeline"]
    close(numbers, "x_stitched", living.points(stitched), POINTS)
    with pytest.raises(AssertionError):
        close(numbers, "x_stitched", living.points(moved), POINTS)


def test_another_picture_rendered_at_its_own_keypoints(living):
    close(living.numbers["lp_pipeline"], "image_absolute_d1", living.render(living.other).image / 2 + 0.5, PICTURES)


@torch.no_grad()
def test_stitching_and_retargeting(living):
    numbers, part = living.numbers["lp_S"], living.retargeting
    for name, network, width in (("stitching", part.stitching, 126), ("eye", part.eyes, 66), ("lip", part.lips, 65)):
        close(numbers, name, network(inputs.tensor(numbers, f"feat_{name}", (2, width), 0.3)), POINTS)
    source, moved = (inputs.tensor(numbers, name, (1, 21, 3), 0.3) for name in ("kp_source", "kp_driving"))
    close(numbers, "stitched_kp", part.stitch(source, moved), POINTS)
    eyes = part.open_eyes(source, torch.tensor([[0.3, 0.25]]), torch.tensor([[0.1]]))
    close(numbers, "retarget_eye", eyes, POINTS)
    close(numbers, "retarget_lip", part.open_lips(source, torch.tensor([[0.2]]), torch.tensor([[0.05]])), POINTS)


@torch.no_grad()
def test_facevid2vid_from_pictures_to_picture(oracle):
    numbers = oracle(SECTION, "fv_pipeline")
    levels = ("kp_detector", "he_estimator", "generator_spade", "discriminator")
    tree = {level.removesuffix("_spade"): inputs.filled(numbers, f"facevid2vid_{level}_keys.json") for level in levels}
    parts = parts_from_checkpoint("facevid2vid", tree)
    source, moved = (inputs.image(numbers, name) * 2 - 1 for name in NAMES[:2])
    portrait = parts["renderer"].appearance(source)
    close(numbers, "prediction", parts["renderer"](portrait, parts["motion_encoder"](moved)).image / 2 + 0.5, PICTURES)
