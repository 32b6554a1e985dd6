"""CLUB, margin softmax and triplet loss against Linear95/CLUB, pytorch-metric-learning, insightface and speechbrain.

Inputs and numbers ship beside this file. All is computed in float64 from the float32 inputs.
"""

import pytest
import torch
from torch.nn import functional

from parity.metric_weights import tensors
from talkingface.losses import CLUB, AAMSoftmax, AMSoftmax, CLUBMean, CLUBSample, aam_logits, triplet_loss

TOLERANCE = 1e-9
FLOAT32 = 1e-5  # speechbrain computes in float32, and pytorch-metric-learning adds 1e-6 to the vectors


class Inputs:
    """Inputs in float64, and the numbers."""

    def __init__(self, oracle):
        self.oracle = oracle("metrics", "losses_inputs")
        self.numbers = self.oracle.json("losses.json")

    def __getitem__(self, name):
        tensor = self.oracle[name]
        return tensor.double() if tensor.is_floating_point() else tensor


@pytest.fixture(scope="module")
def inputs(oracle):
    return Inputs(oracle)


def filled(inputs, estimator, keys, prefix):
    """An estimator with the published keys, and nothing else, in float64."""
    estimator.load_state_dict(tensors(inputs.oracle, keys, prefix), strict=True)
    return estimator.double()


def club(inputs, kind):
    return filled(inputs, kind(24, 20, 64), inputs.numbers["club"]["keys"], "club.")


def check(found, wanted, tolerance=TOLERANCE):
    value = found.item()
    print(f"{value:.12f} (difference {abs(value - wanted):.1e})")
    assert value == pytest.approx(wanted, abs=tolerance, rel=0)


def test_club(inputs):
    estimator, wanted = club(inputs, CLUB), inputs.numbers["club"]
    x, y = inputs["club_x"], inputs["club_y"]
    for source in ("official", "independent"):
        check(estimator(x, y), wanted[source]["club"])
        check(estimator.log_likelihood(x, y), wanted[source]["loglikeli"])
        check(estimator.learning_loss(x, y), wanted[source]["learning_loss"])


def test_club_gradient(inputs):
    y = inputs["club_y"].requires_grad_()
    (gradient,) = torch.autograd.grad(club(inputs, CLUB)(inputs["club_x"], y), y)
    print(f"largest difference {(gradient - inputs['club_grad_y']).abs().max():.1e}")
    torch.testing.assert_close(gradient, inputs["club_grad_y"], atol=TOLERANCE, rtol=0)
    check(gradient.sum(), inputs.numbers["club"]["grad_wrt_y_sum"])
    check(gradient.abs().sum(), inputs.numbers["club"]["grad_wrt_y_abssum"])


def test_club_with_sampled_negatives(inputs):
    estimator = club(inputs, CLUBSample)
    found = estimator(inputs["club_x"], inputs["club_y"], inputs["club_perm"])
    for source in ("official", "independent"):
        check(found, inputs.numbers["club"][source]["club_sample_with_perm"])


def test_club_of_the_mean(inputs):
    estimator = filled(inputs, CLUBMean(24, 20, 64), inputs.numbers["club"]["clubmean_keys"], "clubmean.")
    x, y = inputs["club_x"], inputs["club_y"]
    check(estimator(x, y), inputs.numbers["club"]["official"]["clubmean"])
    check(estimator.log_likelihood(x, y), inputs.numbers["club"]["official"]["clubmean_loglikeli"])


def margin_loss(inputs, loss):
    """The loss with the stored class centres."""
    loss.load_state_dict({"weight": inputs["aam_W"]}, strict=True)
    return loss.double()(inputs["aam_emb"], inputs["aam_lab"]).detach()


def cosines(inputs):
    return functional.normalize(inputs["aam_emb"]) @ functional.normalize(inputs["aam_W"]).T


def test_the_cosines_are_the_published_ones(inputs):
    own = cosines(inputs).gather(1, inputs["aam_lab"][:, None])[:, 0]
    torch.testing.assert_close(own, torch.tensor(inputs.numbers["aam"]["cos_target"]).double(), atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("source", "tolerance"),
    [
        ("loss_hard_with_fallback", TOLERANCE),
        ("pytorch_metric_learning_ArcFaceLoss", TOLERANCE),
        ("insightface_ArcFace", TOLERANCE),
        ("speechbrain_easy_False", FLOAT32),
        ("speechbrain_easy_False_KLdiv_mean_wrapper", FLOAT32),
    ],
)
def test_aam_softmax(inputs, source, tolerance):
    check(margin_loss(inputs, AAMSoftmax(16, 10)), inputs.numbers["aam"][source], tolerance)


@pytest.mark.parametrize(
    ("source", "tolerance"),
    [
        ("loss_easy_margin", TOLERANCE),
        ("speechbrain_easy_True", FLOAT32),
        ("speechbrain_easy_True_KLdiv_mean_wrapper", FLOAT32),
    ],
)
def test_aam_softmax_with_an_easy_margin(inputs, source, tolerance):
    check(margin_loss(inputs, AAMSoftmax(16, 10, easy_margin=True)), inputs.numbers["aam"][source], tolerance)


@pytest.mark.parametrize(("name", "easy"), [("aam_logits_hard", False), ("aam_logits_easy", True)])
def test_aam_logits(inputs, name, easy):
    found = aam_logits(cosines(inputs), inputs["aam_lab"], easy_margin=easy)
    print(f"largest difference {(found - inputs[name]).abs().max():.1e}")
    torch.testing.assert_close(found, inputs[name], atol=TOLERANCE, rtol=0)


def test_the_continuation_beyond_pi_matters(inputs):
    """The control: bare ``cos(θ + m)`` gives the number that the oracle states for it, and that is not the loss."""
    cosine, labels = cosines(inputs), inputs["aam_lab"]
    moved = torch.cos(torch.arccos(cosine.clamp(-1, 1)) + 0.2)
    bare = torch.where(functional.one_hot(labels, 10).bool(), moved, cosine)
    check(functional.cross_entropy(30 * bare, labels), inputs.numbers["aam"]["loss_no_fallback"])
    assert inputs.numbers["aam"]["loss_no_fallback"] != pytest.approx(
        inputs.numbers["aam"]["loss_hard_with_fallback"], abs=0.1
    )


def test_am_softmax(inputs):
    check(margin_loss(inputs, AMSoftmax(16, 10)), inputs.numbers["aam"]["insightface_CosFace_m0.2"])


@pytest.mark.parametrize("kind", [AMSoftmax, AAMSoftmax])
def test_without_a_margin_it_is_plain_softmax(inputs, kind):
    check(margin_loss(inputs, kind(16, 10, margin=0.0)), inputs.numbers["aam"]["plain_softmax_scaled_cos"])


def triplet(inputs, change=lambda vectors: vectors):
    return triplet_loss(*(change(inputs[f"tri_{name}"]) for name in "apn"))


def test_triplet(inputs):
    wanted = inputs.numbers["triplet"]
    check(triplet(inputs), wanted["torch_TripletMarginLoss"])
    check(triplet(inputs), wanted["L2_mean"], 1e-7)  # of distances in float32
    check(triplet(inputs), wanted["pml_no_normalise_mean_reducer"], 1e-6)  # without torch's 1e-6
    check(triplet(inputs, functional.normalize), wanted["L2_on_normalised"], 1e-6)


def test_triplet_by_the_stored_distances(inputs):
    found = (inputs["tri_dp"] - inputs["tri_dn"] + inputs.numbers["triplet"]["margin"]).clamp(min=0)
    check(found.mean(), triplet(inputs).item(), 1e-7)
    assert (found > 0).sum() == inputs.numbers["triplet"]["n_active"]


def test_triplet_is_averaged_over_inactive_triplets_too(inputs):
    """The control: pytorch-metric-learning's default normalises, and averages what is active only."""
    vectors = [functional.normalize(inputs[f"tri_{name}"]) for name in "apn"]
    each = torch.stack([triplet_loss(*(vector[i : i + 1] for vector in vectors)) for i in range(12)])
    wanted = inputs.numbers["triplet"]["pml_TripletMarginLoss(normalises, averages non-zero)"]
    check(each[each > 0].mean(), wanted, 1e-6)
    assert triplet_loss(*vectors) != pytest.approx(wanted, abs=1e-3)
