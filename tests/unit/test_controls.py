"""Negative controls show what they say, and look through no network twice."""

import torch

from talkingface.core.records import ClipPrediction
from talkingface.evaluation.controls import CROSS, SELF, control_clips
from talkingface.metrics import ScoredClip, psnr


def clip(seed: int, frames: int = 8, audio: bool = True, size: int = 32) -> ScoredClip:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(frames, 3, 4, 4, generator=generator)
    target = (torch.nn.functional.interpolate(coarse, size, mode="bilinear") * 255).byte()
    sound = torch.rand(frames * 640, generator=generator) if audio else None
    return ScoredClip.of(ClipPrediction(str(seed), target, target, target[0], sound))


def made(first: ScoredClip, other: ScoredClip | None, cross: bool = False) -> dict[str, ScoredClip]:
    return dict(control_clips(first, other, cross))


def test_every_named_control_is_made_in_its_order():
    assert list(made(clip(0), clip(1))) == list(SELF)
    assert list(made(clip(0), clip(1), cross=True)) == list(CROSS)


def test_shifted_and_frozen_controls_are_the_target_at_other_times():
    first = clip(0)
    target, controls = first["target"], made(first, None)
    assert torch.equal(controls["ground truth"]["video"], target)
    assert torch.equal(controls["1 frame late"]["video"][1:], target[:-1])
    assert torch.equal(controls["1 frame early"]["video"][:-1], target[1:])
    assert torch.equal(controls["5 frames late"]["video"][:6], target[:1].expand(6, -1, -1, -1))
    assert torch.equal(controls["frozen"]["video"], target[:1].expand_as(target))


def test_the_re_encoded_control_is_close_but_not_equal_and_keeps_odd_sides():
    first = clip(0, size=31)
    again = made(first, None)["re-encoded"]["video"]
    assert again.shape == first["target"].shape
    assert 25 < psnr(again, first["target"]).mean() < 99


def test_controls_that_need_another_clip_are_left_out_without_one():
    assert set(SELF) - set(made(clip(0), None)) == {"another person", "another clip's speech"}
    assert "another clip's speech" not in made(clip(0, audio=False), clip(1))


def test_another_person_is_cut_to_the_common_length():
    controls = made(clip(0, frames=8), clip(1, frames=5))
    assert len(controls["another person"]["video"]) == len(controls["another person"]["target"]) == 5
    assert torch.equal(controls["another clip's speech"]["audio"], clip(1, frames=5)["audio"])
    assert len(controls["another clip's speech"]["video"]) == 8


def test_a_control_has_no_file():
    assert all(control.path is None for control in made(clip(0), clip(1)).values())
