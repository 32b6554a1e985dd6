"""Windows cover every frame once, and each goes on from the one before."""

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.pipelines.windows import OVERLAP, WINDOW, LivePlan, Window, plan_windows, seam_ratio, stream_motion


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


LIVE_PLANS = [LivePlan(), LivePlan(hop=1, lookahead=0, context=0), LivePlan(hop=10, lookahead=25, context=3)]


@pytest.mark.parametrize("plan", LIVE_PLANS)
@pytest.mark.parametrize("frames", [1, 7, 8, 9, 10, 13, 14, 100, 1003])
def test_a_live_plan_adds_every_frame_once_and_no_draft_at_the_end(plan, frames):
    windows = plan.windows(frames)
    added = [range(window.first + window.known, window.last - window.draft) for window in windows]
    assert [frame for part in added for frame in part] == list(range(frames))
    assert windows[-1].draft == 0
    assert windows[-1].last == frames
    assert max(window.frames for window in windows) <= plan.hop + plan.lookahead + plan.context


@pytest.mark.parametrize("plan", LIVE_PLANS)
def test_a_window_that_ends_within_the_speech_does_not_know_its_length(plan):
    for frames in (50, 51, 57):
        windows = plan.windows(frames)
        open_ended = [plan.window(number) for number in range(len(windows))]
        assert all(one == two for one, two in zip(windows, open_ended, strict=True) if two.last <= frames)


@pytest.mark.parametrize("plan", LIVE_PLANS)
@pytest.mark.parametrize("frames", [1, 9, 300])
def test_a_draft_is_neither_shown_nor_gone_on_from(plan, frames):
    def sample(window: Window, start: Tensor, prefix: Tensor | None) -> Tensor:
        motion = walk(window, start, prefix)
        motion[:, window.frames - window.draft :] = torch.nan
        return motion

    motion = torch.cat(list(stream_motion(plan.windows(frames), torch.zeros(1, 2), sample)), dim=1)
    assert torch.equal(motion, torch.arange(1.0, frames + 1)[None, :, None].expand(1, -1, 2))


def test_the_promised_delay_is_the_formula():
    assert LivePlan(hop=8, lookahead=5).delay(ahead=1) == pytest.approx(0.52)
    assert LivePlan(hop=1, lookahead=0, context=0).delay(ahead=0) == 0


@pytest.mark.parametrize("plan", [{"hop": 0}, {"lookahead": -1}, {"hop": 80, "context": 60}])
def test_a_plan_that_no_generator_can_follow_is_refused(plan):
    with pytest.raises(ConfigError, match="context"):
        LivePlan(**plan)


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
