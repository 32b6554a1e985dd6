"""A frozen network moves with its owner and leaves no trace in a checkpoint."""

import torch
from torch import nn

from talkingface.core.frozen import Frozen


def owner():
    return nn.ModuleDict({"learned": nn.Linear(2, 2), "frozen": Frozen(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))})


def test_the_owners_state_has_only_what_is_learned():
    assert set(owner().state_dict()) == {"learned.weight", "learned.bias"}


def test_the_owners_state_loads_strictly_into_another_owner():
    first, second = owner(), owner()
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first["learned"].weight, second["learned"].weight)


def test_it_moves_with_its_owner():
    assert owner().double()["frozen"].network[0].weight.dtype == torch.float64


def test_training_mode_does_not_reach_it():
    module = owner().train()
    assert module["learned"].training
    assert not module["frozen"].network[1].training


def test_gradients_pass_through_but_do_not_stay():
    module = owner()
    picture = torch.ones(1, 2, requires_grad=True)
    module["frozen"](module["learned"](picture)).sum().backward()
    assert module["learned"].weight.grad.abs().sum() > 0
    assert module["frozen"].network[0].weight.grad is None
