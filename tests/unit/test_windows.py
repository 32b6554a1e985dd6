"""Windows cover every frame once, and each goes on from the one before."""

import pytest
import torch
from torch import Tensor

from talkingface.pipelines.windows import OVERLAP, WINDOW, Window, plan_windows, seam_ratio, stream_motion


@pytest.mark.parametrize("frames", [*range(1, 8), 124, 125, 126, 149, 150, 225, 226, 1000, 15000])
def test_windows_cover_every_frame_and_all_but_a_short_sound_have_full_length(frames):
    windows = plan_windows(frames)
    assert sum(window.frames - window.known for window in windows) == frames
    assert windows[-1].first + windows[-1].frames == frames
    assert {window.frames for window in windows} == {min(frames, WINDOW)}
    assert windows[0].known == 0
    assert all(OVERLAP <= window.known < window.frames for window in windows[1:])


def test_a_window_more_is_opened_only_when_it_is_needed():
    assert [len(plan_windows(frames)) for frames in (125, 126, 225, 226)] == [1, 2, 2, 3]


def walk(window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
    """A toy generator: counts on from the motion before the window, and repeats what it is given."""
    motion = start[:, None] + torch.arange(1.0, window.frames + 1)[None, :, None]
    if prefix is not None:
        assert torch.equal(motion[:, : window.known], prefix)  # so it was given the right start
    return motion


@pytest.mark.parametrize("frames", [1, 125, 126, 300, 1003])
def test_each_window_starts_from_the_frame_before_it_and_repeats_what_it_shares(frames):
    parts = list(stream_motion(plan_windows(frames), torch.zeros(1, 2), walk))
    motion = torch.cat(parts, dim=1)
    assert torch.equal(motion, torch.arange(1.0, frames + 1)[None, :, None].expand(1, -1, 2))


def test_motion_is_generated_when_it_is_asked_for():
    made = []

    def sample(window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
        made.append(window.first)
        return walk(window, start, prefix)

    motion = stream_motion(plan_windows(400), torch.zeros(1, 1), sample)
    assert next(motion).shape == (1, 125, 1)
    assert made == [0]
    assert next(motion).shape == (1, 100, 1)
    assert made == [0, 100]


def test_the_seam_ratio_sees_a_jump_at_a_joint_and_no_other():
    windows = plan_windows(300)
    smooth = torch.arange(300.0)[:, None].expand(-1, 3).clone()
    assert seam_ratio(smooth, windows) == pytest.approx(1.0)
    jump = smooth.clone()
    jump[125:] += 4  # frame 125 is the first that the second window adds
    assert seam_ratio(jump, windows) == pytest.approx(5.0)
    elsewhere = smooth.clone()
    elsewhere[60:] += 4
    assert seam_ratio(elsewhere, windows) == pytest.approx(1.0)
