"""Schedule, training pairs and DDIM, against closed forms where there are any."""

import math

import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.diffusion import NoiseSchedule, sample_ddim, standard_normal, strided_steps, training_pair

SCHEDULE = NoiseSchedule()
SPREAD = 0.3  # standard deviation of the toy data, far enough from the clip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_denoiser(signal: Tensor, step: Tensor) -> Tensor:
    """The best possible noise predictor for independent data with mean 0 and deviation ``SPREAD``."""
    kept = float(SCHEDULE.alpha_bar[step[0]])
    return signal * math.sqrt(1 - kept) / (1 - kept + kept * SPREAD**2)


def knowing(target: Tensor):
    """A predictor that knows what the signal is."""

    def predict(signal: Tensor, step: Tensor) -> Tensor:
        kept = float(SCHEDULE.alpha_bar[step[0]])
        return (signal - math.sqrt(kept) * target) / math.sqrt(1 - kept)

    return predict


def test_signal_fades_as_published():
    assert SCHEDULE.alpha_bar.dtype == torch.float64
    assert SCHEDULE.alpha_bar[0].item() == pytest.approx(1 - 1e-4, abs=1e-15)
    assert SCHEDULE.alpha_bar[-1].item() == pytest.approx(4.0358e-5, rel=1e-4)  # Ho et al.: the end is almost noise
    assert (SCHEDULE.alpha_bar.diff() < 0).all()


@pytest.mark.parametrize("count", [5, 10, 20, 25, 30, 40, 50, 100, 200, 250, 1000])
def test_strided_steps_have_the_count_asked_for(count):
    steps = strided_steps(count)
    assert len(steps) == count
    assert steps[0] == 0
    assert len(range(0, 1000, steps.step - 1)) != count if steps.step > 1 else True


def test_fifty_steps_begin_at_980():
    assert strided_steps(50)[-1] == 980


@pytest.mark.parametrize(("count", "offer"), [(60, "59 or 63"), (75, "72 or 77"), (1, "Take 2"), (1001, "Take 1000")])
def test_impossible_counts_are_refused_with_the_nearest_possible(count, offer):
    with pytest.raises(ConfigError, match=offer):
        strided_steps(count)


@pytest.mark.parametrize("offer", [59, 63, 72, 77, 2, 1000])
def test_offered_counts_are_possible(offer):
    assert len(strided_steps(offer)) == offer


def test_noised_signal_has_the_variance_of_its_step():
    signal, noise = torch.ones(3, 50_000), torch.randn(3, 50_000, generator=seeded())
    noised = SCHEDULE.noised(signal, noise, torch.tensor([0, 500, 999]))
    for row, step in zip(noised, (0, 500, 999), strict=True):
        kept = SCHEDULE.alpha_bar[step].item()
        assert row.mean().item() == pytest.approx(math.sqrt(kept), abs=0.02)
        assert row.var().item() == pytest.approx(1 - kept, abs=0.02)


def test_training_pair_hides_its_own_noise():
    signal = torch.randn(16, 5, 3, generator=seeded())
    pair = training_pair(SCHEDULE, signal, seeded(1))
    assert torch.equal(pair.noised, SCHEDULE.noised(signal, pair.noise, pair.step))
    assert pair.noise.shape == signal.shape
    assert len(pair.step.unique()) > 8  # each of the batch has a step of its own


def test_all_steps_are_equally_likely():
    step = training_pair(SCHEDULE, torch.zeros(100_000, 1), seeded()).step
    counts = torch.bincount(step // 100, minlength=10)
    assert len(counts) == 10
    assert (counts - 10_000).abs().max() < 500  # five standard deviations


def test_training_pairs_repeat_with_their_seed_alone():
    signal = torch.zeros(4, 5, 3)
    first, again, other = (training_pair(SCHEDULE, signal, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.noised, again.noised)
    assert torch.equal(first.step, again.step)
    assert not torch.equal(first.noised, other.noised)


@pytest.mark.parametrize("steps", [5, 50, 250])
def test_perfect_predictor_leads_to_the_target(steps):
    target = torch.rand(2, 6, 3, generator=seeded()) * 2 - 1
    found = sample_ddim(knowing(target), standard_normal(target, seeded(1)), SCHEDULE, steps)
    torch.testing.assert_close(found, target, atol=1e-5, rtol=0)


def test_samples_have_the_spread_of_the_data():
    noise = torch.randn(1, 20_000, 1, generator=seeded())
    spread = [sample_ddim(gaussian_denoiser, noise, SCHEDULE, steps).std().item() for steps in (10, 50, 250)]
    assert spread[-1] == pytest.approx(SPREAD, rel=0.02)
    assert abs(spread[0] - SPREAD) > abs(spread[-1] - SPREAD)  # the control: few steps are rougher


def test_samples_stay_in_range():
    found = sample_ddim(lambda signal, step: -signal, torch.randn(1, 50, 3, generator=seeded()), SCHEDULE, 10)
    assert found.abs().max() == 1.0


def test_prefix_is_kept_exactly():
    prefix = torch.linspace(-1.5, 1.5, 12).reshape(2, 2, 3)  # even beyond the range
    found = sample_ddim(gaussian_denoiser, torch.randn(2, 6, 3, generator=seeded()), SCHEDULE, 10, prefix=prefix)
    assert torch.equal(found[:, :2], prefix)


def test_predictor_sees_the_prefix_with_the_noise_it_started_from():
    prefix, noise = torch.full((1, 2, 3), 0.5), torch.randn(1, 6, 3, generator=seeded())
    seen = []

    def predict(signal: Tensor, step: Tensor) -> Tensor:
        seen.append((signal[:, :2], step))
        return torch.zeros_like(signal)

    sample_ddim(predict, noise, SCHEDULE, 10, prefix=prefix)
    assert [int(step) for _, step in seen] == list(range(900, -1, -100))
    for begin, step in seen:
        assert torch.equal(begin, SCHEDULE.noised(prefix, noise[:, :2], step))


def test_rest_grows_to_fit_the_prefix():
    """Data: all frames of a clip are alike, ±0.8. The prefix decides which, almost whatever the noise says."""

    def predict(signal: Tensor, step: Tensor) -> Tensor:
        kept = SCHEDULE.alpha_bar[step[0]].to(signal.dtype)
        evidence = (0.8 * kept.sqrt() / (1 - kept) * signal).sum(1, keepdim=True)
        return (signal - kept.sqrt() * 0.8 * evidence.tanh()) / (1 - kept).sqrt()

    noise = torch.randn(64, 8, 1, generator=seeded())
    free = sample_ddim(predict, noise, SCHEDULE, 50)
    assert 16 < (free[:, -1] > 0).sum() < 48  # the control: both kinds occur
    for value in (-0.8, 0.8):
        bound = sample_ddim(predict, noise, SCHEDULE, 50, prefix=torch.full((64, 6, 1), value))
        assert ((bound[:, -1] - value).abs() < 0.1).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(2, 6, 3), (1, 2, 3), (2, 2, 4)])
def test_prefix_that_does_not_fit_is_refused(shape):
    with pytest.raises(ShapeError, match="prefix"):
        sample_ddim(gaussian_denoiser, torch.zeros(2, 6, 3), SCHEDULE, 10, prefix=torch.zeros(shape))


def test_half_precision_predictions_leave_the_sampler_precise():
    noise = torch.randn(1, 6, 3, generator=seeded())
    found = sample_ddim(lambda signal, step: gaussian_denoiser(signal, step).bfloat16(), noise, SCHEDULE, 10)
    assert found.dtype == torch.float32


def test_schedule_without_steps_is_refused():
    with pytest.raises(ConfigError, match="at least one step"):
        NoiseSchedule(0)
