"""The joint adversarial step is the reference's alternating loop, in one backward and one optimiser."""

import copy

import pytest
import torch
from torch import nn

from talkingface.losses import CLUBSample, discriminator_loss, generator_loss
from talkingface.tasks.optim import Adam, clip_by_group, frozen, joint_optimizer

GENERATOR, OPPONENT = Adam(2e-3, (0.0, 0.99)), Adam(1e-3, (0.5, 0.9))
ESTIMATOR = Adam(5e-3, (0.9, 0.999))


@pytest.fixture
def players():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6)), nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)
    )


def batches(count=5):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(16, 4, generator=generator), torch.randn(16, 6, generator=generator)) for _ in range(count)]


def joint_loop(network, discriminator):
    optimizer = joint_optimizer(
        {"generator": (network.parameters(), GENERATOR), "opponent": (discriminator.parameters(), OPPONENT)}
    )
    for noise, real in batches():
        fake = network(noise)
        loss = generator_loss(frozen(discriminator)(fake))
        loss = loss + discriminator_loss(discriminator(real), discriminator(fake.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def alternating_loop(network, discriminator, opponent_first=False):
    """The published loops: two optimisers; both gradients are taken before either player moves."""
    ours = torch.optim.Adam(network.parameters(), GENERATOR.lr, GENERATOR.betas)
    theirs = torch.optim.Adam(discriminator.parameters(), OPPONENT.lr, OPPONENT.betas)
    for noise, real in batches():
        fake = network(noise)
        if opponent_first:
            theirs.zero_grad()
            discriminator_loss(discriminator(real), discriminator(fake.detach())).backward()
            theirs.step()
        ours.zero_grad()
        generator_loss(discriminator(fake)).backward()
        ours.step()
        if not opponent_first:
            theirs.zero_grad()
            discriminator_loss(discriminator(real), discriminator(fake.detach())).backward()
            theirs.step()


def distance(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def test_one_backward_moves_both_players_as_the_alternating_loop_does(players):
    joint, alternating = copy.deepcopy(players), copy.deepcopy(players)
    joint_loop(*joint)
    alternating_loop(*alternating)
    assert distance(joint[0], alternating[0]) < 1e-6
    assert distance(joint[1], alternating[1]) < 1e-6


def test_the_comparison_would_notice_another_order_of_moves(players):
    joint, other = copy.deepcopy(players), copy.deepcopy(players)
    joint_loop(*joint)
    alternating_loop(*other, opponent_first=True)
    assert distance(joint[0], other[0]) > 1e-5


# the estimator of mutual information, a third player


def three_players():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6))
    return network, nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)), CLUBSample(4, 6, 8)


def shuffle(step):
    return torch.Generator().manual_seed(step)


def three_in_one_step(network, discriminator, estimator):
    optimizer = joint_optimizer(
        {
            "generator": (network.parameters(), GENERATOR),
            "opponent": (discriminator.parameters(), OPPONENT),
            "estimator": (estimator.parameters(), ESTIMATOR),
        }
    )
    for step, (known, real) in enumerate(batches()):
        fake = network(known)
        loss = generator_loss(frozen(discriminator)(fake))
        loss = loss + 0.1 * frozen(estimator)(known, fake, generator=shuffle(step))
        loss = loss + discriminator_loss(discriminator(real), discriminator(fake.detach()))
        loss = loss + estimator.learning_loss(known, fake.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def learn(estimator, optimizer, known, fake):
    optimizer.zero_grad()
    estimator.learning_loss(known, fake.detach()).backward()
    optimizer.step()


def three_in_turns(network, discriminator, estimator, estimator_first=False):
    """Three optimisers, as published: the encoder with both opponents held, then each opponent on detached vectors."""
    settings = ((network, GENERATOR), (discriminator, OPPONENT), (estimator, ESTIMATOR))
    ours, theirs, bound = (torch.optim.Adam(part.parameters(), how.lr, how.betas) for part, how in settings)
    for step, (known, real) in enumerate(batches()):
        fake = network(known)

        if estimator_first:
            learn(estimator, bound, known, fake)
        ours.zero_grad()
        total = generator_loss(discriminator(fake)) + 0.1 * estimator(known, fake, generator=shuffle(step))
        total.backward()
        ours.step()
        theirs.zero_grad()
        discriminator_loss(discriminator(real), discriminator(fake.detach())).backward()
        theirs.step()
        if not estimator_first:
            learn(estimator, bound, known, fake)


def test_one_backward_moves_three_players_as_three_optimisers_in_turn_do():
    joint, turns = three_players(), three_players()
    three_in_one_step(*joint)
    three_in_turns(*turns)
    assert [distance(one, other) < 1e-6 for one, other in zip(joint, turns, strict=True)] == [True] * 3


def test_the_comparison_would_notice_an_estimator_that_learns_first():
    joint, turns = three_players(), three_players()
    three_in_one_step(*joint)
    three_in_turns(*turns, estimator_first=True)
    assert distance(joint[0], turns[0]) > 1e-5


def test_a_frozen_network_passes_gradients_but_takes_none(players):
    _, discriminator = players
    picture = torch.randn(2, 6, requires_grad=True)
    frozen(discriminator)(picture).sum().backward()
    assert picture.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in discriminator.parameters())


def test_a_frozen_network_computes_what_the_network_computes(players):
    _, discriminator = players
    picture = torch.randn(2, 6)
    assert torch.equal(frozen(discriminator)(picture), discriminator(picture))


def test_each_player_is_clipped_on_its_own(players):
    network, discriminator = players
    optimizer = joint_optimizer(
        {"generator": (network.parameters(), GENERATOR), "opponent": (discriminator.parameters(), OPPONENT)}
    )
    for group, size in zip(optimizer.param_groups, (100.0, 0.01), strict=True):
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, size)
    clip_by_group(optimizer, 1.0, "norm")
    norms = [nn.utils.get_total_norm([p.grad for p in group["params"]]).item() for group in optimizer.param_groups]
    assert norms[0] == pytest.approx(1.0, abs=1e-4)
    assert norms[1] == pytest.approx(0.01 * sum(p.numel() for p in discriminator.parameters()) ** 0.5, rel=1e-4)


def test_no_clip_value_leaves_gradients_alone(players):
    network, _ = players
    optimizer = joint_optimizer({"generator": (network.parameters(), GENERATOR)})
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 5.0)
    clip_by_group(optimizer, None, None)
    assert all((parameter.grad == 5.0).all() for parameter in network.parameters())


def test_frozen_parameters_are_left_out_of_the_optimiser(players):
    network, _ = players
    network[0].requires_grad_(False)
    optimizer = joint_optimizer({"generator": (network.parameters(), GENERATOR)})
    assert len(optimizer.param_groups[0]["params"]) == 2
