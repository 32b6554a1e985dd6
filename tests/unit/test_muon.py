"""Muon finds weak directions beside strong ones, and leaves everything that is no matrix to Adam."""

import copy

import pytest
import torch
from torch import nn

from talkingface.tasks import Adam, Muon
from talkingface.tasks.muon import is_matrix, orthogonalised
from talkingface.tasks.optim import joint_optimizer

STRENGTH = torch.logspace(0, -2, 8)  # of the modes: one carries nearly all of the variance


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16, bias=False), nn.Linear(16, 8, bias=False))


def weakest_share_learned(settings, steps=300):
    """How much of the four weakest modes of an identity map a linear network has found, seen through a mixing."""
    network, draws = two_layers(), torch.Generator().manual_seed(1)
    mixing = torch.linalg.qr(torch.randn(8, 8, generator=draws)).Q
    optimizer = joint_optimizer({"generator": (network.parameters(), settings)})
    for _ in range(steps):
        modes = torch.randn(32, 8, generator=draws) * STRENGTH
        wanted = modes @ mixing
        optimizer.zero_grad()
        (network(wanted) - wanted).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        left = network(mixing[4:]) - mixing[4:]
    return 1 - float(left.square().sum() / mixing[4:].square().sum())


def test_weak_modes_are_learned_beside_strong_ones():
    assert weakest_share_learned(Muon(1e-2)) > 0.9
    assert weakest_share_learned(Adam(1e-2)) < 0.5  # the control: at the same rate


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_an_orthogonalised_matrix_is_equally_long_in_all_directions(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert (torch.linalg.svdvals(matrix)[[0, -1]] / matrix.norm()).diff().abs() > 0.1  # the control
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_step_is_as_long_as_one_of_adam():
    weights = {Muon: nn.Parameter(torch.zeros(32, 64)), Adam: nn.Parameter(torch.zeros(32, 64))}
    gradient = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    for kind, weight in weights.items():
        weight.grad = gradient.clone()
        joint_optimizer({"generator": ([weight], kind(1e-2))}).step()
    muon, adam = (weights[kind].detach().square().mean().sqrt() for kind in (Muon, Adam))
    assert 0.1 < muon / adam < 0.5  # 0.2 is the usual length of Adam's later steps; its first one has length 1


def test_vectors_small_maps_and_other_players_are_left_to_adam():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 3, 1))
    theirs, alone = nn.Linear(8, 8), copy.deepcopy(ours)
    rival = copy.deepcopy(theirs)
    together = joint_optimizer(
        {"generator": (ours.parameters(), Muon(1e-2, (0.9, 0.99))), "opponent": (theirs.parameters(), Adam(1e-2))}
    )
    apart = [
        torch.optim.Adam(alone.parameters(), 1e-2, (0.9, 0.99)),
        torch.optim.Adam(rival.parameters(), 1e-2, (0.5, 0.999)),
    ]
    picture, row = torch.randn(2, 8, 6, 6), torch.randn(2, 8)
    for network, opponent in ((ours, theirs), (alone, rival)):
        (network(picture).square().mean() + opponent(row).square().mean()).backward()
    for optimizer in (together, *apart):
        optimizer.step()
    pairs = [*zip(ours.parameters(), alone.parameters(), strict=True)]
    pairs += zip(theirs.parameters(), rival.parameters(), strict=True)
    equal = [torch.equal(one, other) for one, other in pairs]
    assert equal == [False, True, True, True, True, True]  # only the 8 x 8 convolution steps otherwise
    assert [is_matrix(one) for one, _ in pairs] == [True, False, False, False, True, False]


def test_gradients_are_still_there_after_a_step():
    network = two_layers()
    optimizer = joint_optimizer({"generator": (network.parameters(), Muon(1e-2))})
    network(torch.randn(4, 8)).square().mean().backward()
    optimizer.step()
    assert all(weight.grad is not None for weight in network.parameters())


def test_training_resumes_from_the_state_of_the_optimizer():
    def steps(network, optimizer, first, last):
        for number in range(first, last):
            optimizer.zero_grad()
            rows = torch.randn(4, 8, generator=torch.Generator().manual_seed(number))
            (network(rows) - rows).square().mean().backward()
            optimizer.step()

    through = two_layers()
    whole = joint_optimizer({"generator": (through.parameters(), Muon(1e-2))})
    steps(through, whole, 0, 2)
    resumed, state = copy.deepcopy(through), copy.deepcopy(whole.state_dict())
    steps(through, whole, 2, 4)
    again = joint_optimizer({"generator": (resumed.parameters(), Muon(1e-2))})
    again.load_state_dict(state)
    steps(resumed, again, 2, 4)
    assert all(torch.equal(one, other) for one, other in zip(through.parameters(), resumed.parameters(), strict=True))
