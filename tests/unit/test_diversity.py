import pytest
import torch

from talkingface.core.errors import ShapeError
from talkingface.metrics import SeedDiversity, SeedEnergyScore, energy_score, seed_diversity


def draws(seeds: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(seeds, 200, 20, generator=torch.Generator().manual_seed(seed))


def test_one_motion_for_all_seeds_has_no_diversity():
    assert seed_diversity(draws(1).expand(4, 200, 20)) == 0
    assert seed_diversity(draws(4)) > 1  # the control


def test_diversity_is_the_mean_distance_over_all_pairs_of_seeds():
    samples = torch.tensor([0.0, 1.0, 4.0])[:, None, None]
    assert seed_diversity(samples).item() == pytest.approx((1 + 4 + 3) / 3)


def test_landmarks_of_a_frame_are_one_vector():
    points = draws(3).reshape(3, 200, 10, 2)
    assert seed_diversity(points).item() == pytest.approx(seed_diversity(draws(3)).item())


def test_the_order_of_seeds_does_not_count():
    assert seed_diversity(draws(4)).item() == pytest.approx(seed_diversity(draws(4).flip(0)).item())


@pytest.mark.parametrize("samples", [torch.zeros(1, 5, 3), torch.zeros(5)])
def test_one_seed_has_no_diversity_to_measure(samples):
    with pytest.raises(ShapeError, match="two seeds"):
        seed_diversity(samples)


def test_the_energy_score_is_best_for_the_true_distribution():
    target = draws(1, seed=99)[0]
    scores = {scale: energy_score(draws(8, scale), target).item() for scale in (0.01, 0.5, 1.0, 2.0, 4.0)}
    assert min(scores, key=scores.__getitem__) == 1.0
    assert scores[0.01] > scores[0.5]


def test_the_energy_score_of_a_motion_that_is_off_is_worse():
    target = draws(1, seed=99)[0]
    assert energy_score(draws(8) + 1, target) > energy_score(draws(8), target)


def test_the_energy_score_is_zero_for_perfect_seeds():
    target = draws(1)[0]
    assert energy_score(target.expand(3, 200, 20), target) == 0


def test_a_target_of_another_length_is_refused():
    with pytest.raises(ShapeError, match="target"):
        energy_score(draws(2), draws(1)[0][:50])


def test_clips_count_alike_whatever_their_length():
    metric = SeedDiversity()
    metric.update(torch.tensor([0.0, 2.0])[:, None, None].expand(2, 100, 1))
    metric.update(torch.tensor([0.0, 4.0])[:, None, None].expand(2, 5, 1))
    assert metric.compute().item() == pytest.approx(3)


def test_the_score_of_a_data_set_is_the_mean_of_its_clips():
    metric, target = SeedEnergyScore(), draws(1, seed=99)[0]
    for scale in (1.0, 2.0):
        metric.update(draws(4, scale), target)
    wanted = (energy_score(draws(4), target) + energy_score(draws(4, 2.0), target)) / 2
    assert metric.compute().item() == pytest.approx(wanted.item())
