"""Projectors: linear motion decomposition and its fully connected rival."""

import copy

import numpy as np
import pytest
import torch

from talkingface.motion.projector import DirectReduction, LinearMotionDecomposition


@pytest.fixture
def lmd() -> LinearMotionDecomposition:
    torch.manual_seed(0)
    return LinearMotionDecomposition(32, 5)


@pytest.fixture(params=[LinearMotionDecomposition, DirectReduction])
def projector(request):
    torch.manual_seed(0)
    return request.param(32, 5)


def test_directions_are_orthonormal(lmd):
    torch.testing.assert_close(lmd.basis().T @ lmd.basis(), torch.eye(5), atol=1e-6, rtol=0)


def test_directions_have_the_signs_of_lapack(lmd):
    expected = np.linalg.qr(lmd.directions.detach().numpy() + 1e-8)[0]
    np.testing.assert_allclose(lmd.basis().detach().numpy(), expected, atol=1e-6)


def test_control_gram_schmidt_has_other_signs(lmd):
    q, r = np.linalg.qr(lmd.directions.detach().numpy())
    assert (np.diag(r) < 0).any()
    assert not np.allclose(q * np.sign(np.diag(r)), lmd.basis().detach().numpy(), atol=1e-3)


def test_displacement_is_linear_and_zero_for_zero(projector):
    a, b = torch.randn(4, 5), torch.randn(4, 5)
    expected = projector.displacement(a) - 2 * projector.displacement(b)
    torch.testing.assert_close(projector.displacement(a - 2 * b), expected, atol=1e-5, rtol=1e-5)
    assert not projector.displacement(torch.zeros(1, 5)).any()


def test_both_projectors_start_with_steps_of_equal_length(projector):
    motion = torch.randn(2000, 5)
    ratio = projector.displacement(motion).norm(dim=1).mean() / motion.norm(dim=1).mean()
    assert ratio.item() == pytest.approx(1, abs=0.15)


def test_gradient_flows_through_the_decomposition(lmd):
    lmd.displacement(torch.randn(2, 5)).sum().backward()
    assert lmd.directions.grad.abs().sum() > 0


def test_basis_is_computed_once_at_inference(lmd, monkeypatch):
    calls = []
    qr = torch.linalg.qr
    monkeypatch.setattr(torch.linalg, "qr", lambda *args: calls.append(1) or qr(*args))
    with torch.no_grad():
        for _ in range(3):
            lmd.basis()
    assert len(calls) == 1
    lmd.basis()  # the control: with gradients it is computed anew
    assert len(calls) == 2


def test_basis_is_fresh_after_an_optimiser_step(lmd):
    with torch.no_grad():
        before = lmd.basis().clone()
    lmd.displacement(torch.randn(2, 5)).sum().backward()
    torch.optim.SGD(lmd.parameters(), lr=0.5).step()
    with torch.no_grad():
        cached = lmd.basis()
    assert not cached.allclose(before)
    assert cached.equal(lmd._orthonormalise())


def write_data(lmd, other):
    lmd.directions.data.copy_(other.directions)  # bypasses the version counter


def load_state(lmd, other):
    lmd.load_state_dict(other.state_dict())


def assign_state(lmd, other):
    lmd.load_state_dict(copy.deepcopy(other.state_dict()), assign=True)


@pytest.mark.parametrize("write", [write_data, load_state, assign_state])
def test_basis_is_fresh_however_the_weights_were_written(lmd, write):
    other = LinearMotionDecomposition(32, 5)
    with torch.no_grad():
        lmd.basis()
        write(lmd, other)
        assert lmd.basis().equal(other.basis())


def test_basis_cached_in_inference_mode_serves_a_frozen_network_in_training(lmd):
    lmd.requires_grad_(False)
    with torch.inference_mode():
        lmd.basis()
    motion = torch.randn(2, 5, requires_grad=True)
    lmd.displacement(motion).sum().backward()
    assert motion.grad.abs().sum() > 0


def test_cache_is_not_saved(lmd):
    with torch.no_grad():
        lmd.basis()
    assert not [name for name in lmd.state_dict() if "cache" in name]


def test_decomposition_works_under_half_precision(lmd):
    with torch.autocast("cpu", torch.bfloat16):
        assert lmd.basis().dtype == torch.float32
        assert lmd.displacement(torch.randn(2, 5)).isfinite().all()
