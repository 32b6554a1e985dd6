"""CLUB, margin softmax and triplet loss: what they measure, and that their gradients are finite where roots are not."""

import math

import pytest
import torch
from torch.nn import functional

from talkingface.core.errors import ShapeError
from talkingface.losses import (
    CLUB,
    AAMSoftmax,
    AMSoftmax,
    CLUBMean,
    CLUBSample,
    TripletLoss,
    aam_logits,
    am_logits,
    triplet_loss,
)

KINDS = [CLUB, CLUBSample, CLUBMean]


def pairs(correlation, count=256, dim=4, seed=0):
    """Gaussian vectors whose coordinates correlate pairwise."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, count, dim, generator=generator)
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


def estimator(kind, dim=4, hidden=32):
    torch.manual_seed(0)
    return kind(dim, dim, hidden)


# CLUB


@pytest.mark.parametrize("kind", [CLUB, CLUBMean])
def test_every_pair_of_the_batch_is_compared(kind):
    model, (x, y) = estimator(kind).double(), [each.double() for each in pairs(0.5, count=7)]
    mean, log_variance = model.moments(x)
    density = -0.5 * ((mean[:, None] - y[None]) ** 2 / log_variance.exp()[:, None]).sum(-1)  # (of q at i, of y_j)
    torch.testing.assert_close(model(x, y), (density.diagonal() - density.mean(dim=1)).mean(), atol=1e-12, rtol=0)


def test_sampled_negatives_are_those_of_all_pairs_on_average():
    x, y = (each.double() for each in pairs(0.5, count=8))
    shifts = [(torch.arange(8) + shift) % 8 for shift in range(8)]
    sampled, whole = estimator(CLUBSample).double(), estimator(CLUB).double()
    mean = torch.stack([sampled(x, y, shift) for shift in shifts]).mean()
    torch.testing.assert_close(mean, whole(x, y), atol=1e-12, rtol=0)
    assert sampled(x, y, shifts[0]) == 0  # every sample against itself
    assert sampled(x, y, shifts[1]) != whole(x, y)


def test_the_seed_decides_the_negatives():
    model, (x, y) = estimator(CLUBSample), pairs(0.5)
    first, again, other = (model(x, y, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_common_offset_does_not_matter(kind):
    model, (x, y) = estimator(kind), pairs(0.5)
    with torch.no_grad():
        model.p_mu[2].bias += 1000.0
    shifted = model(x, y + 1000.0, *([torch.arange(255, -1, -1)] if kind is CLUBSample else []))
    with torch.no_grad():
        model.p_mu[2].bias -= 1000.0
    plain = model(x, y, *([torch.arange(255, -1, -1)] if kind is CLUBSample else []))
    assert shifted.item() == pytest.approx(plain.item(), abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_bound_tells_dependent_vectors_from_independent_ones(kind):
    bounds = {}
    for correlation in (0.0, 0.8):
        model, (x, y) = estimator(kind), pairs(correlation, count=1024)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        before = model.learning_loss(x, y).item()
        for _ in range(150):
            optimizer.zero_grad()
            model.learning_loss(x, y).backward()
            optimizer.step()
        assert model.learning_loss(x, y) < before
        unseen = pairs(correlation, count=1024, seed=1)
        bounds[correlation] = model(*unseen, *([torch.arange(1023, -1, -1)] if kind is CLUBSample else [])).item()
    truth = -2 * math.log(1 - 0.8**2)  # four coordinates of -½ log(1 - ρ²) each
    print(kind.__name__, bounds, f"true information {truth:.2f}")
    assert abs(bounds[0.0]) < 0.25
    assert bounds[0.8] > 1.5


def test_the_bound_is_no_less_than_the_information():
    model, (x, y) = estimator(CLUB), pairs(0.8, count=4096)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        model.learning_loss(x, y).backward()
        optimizer.step()
    bound = model(*pairs(0.8, count=4096, seed=1)).item()
    print(bound)
    assert bound > -2 * math.log(1 - 0.8**2)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_both_vectors(kind):
    x, y = (each.requires_grad_() for each in pairs(0.5))
    estimator(kind)(x, y).backward()
    assert x.grad.abs().sum() > 0
    assert y.grad.abs().sum() > 0


def test_published_keys_and_sizes():
    shapes = {name: tuple(tensor.shape) for name, tensor in CLUB(5, 3, 8).state_dict().items()}
    assert shapes["p_mu.0.weight"] == (4, 5)  # half the hidden size
    assert shapes["p_logvar.2.bias"] == (3,)
    assert list(CLUBSample(5, 3, 8).state_dict()) == list(shapes)
    mean = CLUBMean(5, 3, 8).state_dict()
    assert [name.partition(".")[0] for name in mean] == ["p_mu"] * 4
    assert mean["p_mu.0.weight"].shape == (8, 5)


def test_vectors_of_other_sizes_are_refused():
    model = estimator(CLUB)
    with pytest.raises(ShapeError, match="y has shape"):
        model(torch.zeros(3, 4), torch.zeros(1, 4))
    with pytest.raises(ShapeError, match="x has shape"):
        model.learning_loss(torch.zeros(2, 3, 4), torch.zeros(3, 4))
    with pytest.raises(ShapeError, match="permutation has shape"):
        estimator(CLUBSample)(torch.zeros(3, 4), torch.zeros(3, 4), torch.arange(2))


# margins


def own_logit(angle, function=aam_logits, **options):
    cosine = torch.stack([torch.cos(angle), torch.zeros_like(angle)], dim=1)
    return function(cosine, torch.zeros(len(angle), dtype=torch.long), **options)[:, 0]


def test_the_angular_margin_is_added_to_the_angle():
    angle = torch.linspace(0.01, math.pi - 0.25, 50, dtype=torch.float64)
    torch.testing.assert_close(own_logit(angle), 30 * torch.cos(angle + 0.2), atol=1e-9, rtol=0)
    assert not torch.allclose(own_logit(angle, margin=0.1), own_logit(angle), atol=0.1)


def test_the_logit_falls_with_the_angle_up_to_pi():
    angle = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    assert (own_logit(angle).diff() < 0).all()
    bare = 30 * torch.cos(angle + 0.2)
    assert not (bare.diff() < 0).all()


def test_an_easy_margin_leaves_far_angles_alone():
    angle = torch.tensor([1.0, 2.0])
    near, far = own_logit(angle, easy_margin=True) - 30 * torch.cos(angle)
    assert near < -1
    assert far == 0


def test_the_cosine_margin_is_subtracted_from_the_own_class_only():
    cosine = torch.tensor([[0.5, 0.3], [0.1, 0.9]])
    found = am_logits(cosine, torch.tensor([0, 1]), margin=0.2, scale=10.0)
    torch.testing.assert_close(found, torch.tensor([[3.0, 3.0], [1.0, 7.0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cosine", [1.0, -1.0, 1.0 + 1e-7])
def test_the_gradient_is_finite_where_the_angle_is_zero(dtype, cosine):
    given = torch.tensor([[cosine, 0.0]], dtype=dtype, requires_grad=True)
    functional.cross_entropy(aam_logits(given, torch.tensor([0])), torch.tensor([0])).backward()
    assert given.grad.isfinite().all()


@pytest.mark.parametrize("kind", [AAMSoftmax, AMSoftmax])
def test_only_the_direction_of_an_embedding_counts(kind):
    torch.manual_seed(0)
    loss, embedding, labels = kind(8, 5), torch.randn(6, 8), torch.arange(6) % 5
    assert loss(7 * embedding, labels).item() == pytest.approx(loss(embedding, labels).item(), rel=1e-5)
    assert loss(-embedding, labels).item() != pytest.approx(loss(embedding, labels).item(), rel=0.01)


@pytest.mark.parametrize("kind", [AAMSoftmax, AMSoftmax])
def test_a_margin_keeps_pulling_where_plain_softmax_is_content(kind):
    cosine, labels = torch.eye(4) * 0.3, torch.arange(4)
    with_margin, without = (
        functional.cross_entropy(kind(8, 4, margin=margin).logits(cosine, labels), labels) for margin in (0.2, 0.0)
    )
    assert with_margin > 10 * without


@pytest.mark.parametrize("kind", [AAMSoftmax, AMSoftmax])
def test_people_are_told_apart_by_training(kind):
    torch.manual_seed(0)
    centres, labels = torch.randn(5, 8), torch.arange(50) % 5
    features = centres[labels] + 0.3 * torch.randn(50, 8)
    encoder, loss = torch.nn.Linear(8, 8), kind(8, 5)
    optimizer = torch.optim.Adam([*encoder.parameters(), *loss.parameters()], lr=0.05)
    first = loss(encoder(features), labels).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss(encoder(features), labels).backward()
        optimizer.step()
    assert loss(encoder(features), labels).item() < 0.1 * first


def test_embeddings_and_labels_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="embedding has shape"):
        AAMSoftmax(8, 5)(torch.zeros(2, 7), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ShapeError, match="labels has shape"):
        AMSoftmax(8, 5)(torch.ones(2, 8), torch.zeros(3, dtype=torch.long))


# triplets


def test_a_triplet_that_is_far_enough_apart_costs_nothing():
    anchor = torch.zeros(1, 2, requires_grad=True)
    near, far = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.52, 0.0]])
    assert triplet_loss(anchor, near, far) == 0
    assert triplet_loss(anchor, near, torch.tensor([[0.505, 0.0]])).item() == pytest.approx(0.005, abs=1e-5)


def test_the_gradient_draws_the_positive_nearer_and_pushes_the_negative_away():
    anchor = torch.zeros(1, 2)
    near, far = (torch.tensor([[value, 0.0]], requires_grad=True) for value in (2.0, 1.0))
    triplet_loss(anchor, near, far).backward()
    assert near.grad[0, 0] > 0
    assert far.grad[0, 0] < 0


def test_equal_vectors_have_a_finite_gradient():
    anchor = torch.ones(3, 4, requires_grad=True)
    triplet_loss(anchor, torch.ones(3, 4), torch.ones(3, 4)).backward()
    assert anchor.grad.isfinite().all()


def test_vectors_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match="negative has shape"):
        triplet_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(1, 3))


# one interface for both


def candidates():
    anchor, positive, negative = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0)).unbind()
    return anchor, anchor + 0.1 * positive, negative, torch.arange(6) % 3, (torch.arange(6) + 1) % 3


@pytest.mark.parametrize("kind", [AAMSoftmax, AMSoftmax])
def test_a_margin_loss_classifies_all_candidates_by_their_own_numbers(kind):
    torch.manual_seed(0)
    loss, (anchor, positive, negative, person, stranger) = kind(8, 3), candidates()
    value, right = loss.compare(anchor, positive, negative, person, stranger)
    labels = torch.cat([person, person, stranger])
    assert value == loss(torch.cat([anchor, positive, negative]), labels)
    nearest = loss.cosine(torch.cat([anchor, positive, negative])).argmax(1)
    assert right == (nearest == labels).float().mean()
    assert value != loss.compare(anchor, positive, negative, person, person)[0]


def test_a_triplet_loss_looks_at_distances_and_not_at_numbers():
    loss, (anchor, positive, negative, person, stranger) = TripletLoss(8), candidates()
    value, right = loss.compare(anchor, positive, negative, person, stranger)
    assert value == triplet_loss(anchor, positive, negative, 0.01)
    assert right == 1
    assert loss.compare(anchor, negative, positive, stranger, person)[1] == 0
    assert TripletLoss(8, margin=5.0).compare(anchor, positive, negative, person, stranger)[0] > value
