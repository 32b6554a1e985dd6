"""The sync expert and the loss made of it: ranges, gradients, and what stays out of a checkpoint."""

import math

import pytest
import torch
from torch import nn

from talkingface.convert import convert_checkpoint
from talkingface.convert.names import published_names
from talkingface.convert.wav2lip import EXPERT
from talkingface.core.component import build
from talkingface.core.errors import ShapeError, WeightsError
from talkingface.hub import load_model, save_model
from talkingface.losses import LipSyncLoss, SyncExpert, agreement, sync_loss

TINY = 0.03125


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return SyncExpert(width=TINY).eval()


@pytest.fixture
def folder(expert, tmp_path):
    save_model(tmp_path / "expert", {"sync_expert": expert}, {})
    return str(tmp_path / "expert")


@pytest.fixture
def frames():
    return torch.rand(3, 5, 3, 96, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def mel():
    return torch.randn(3, 80, 16, generator=torch.Generator().manual_seed(2))


def test_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in SyncExpert().parameters()) == 16_435_072


def test_embeddings_have_length_1_and_are_not_negative(expert, frames, mel):
    for embedding in (expert.see(frames), expert.hear(mel)):
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
        assert embedding.min() >= 0


def test_the_probability_is_the_cosine(expert, frames, mel):
    wanted = torch.cosine_similarity(expert.see(frames), expert.hear(mel))
    torch.testing.assert_close(expert(frames, mel), wanted)


def test_only_the_lower_half_is_seen(expert, frames):
    other = frames.clone()
    other[..., :48, :] = 0
    assert torch.equal(expert.see(other), expert.see(frames))
    other[..., 48:, :] = 0
    assert not torch.equal(expert.see(other), expert.see(frames))


def test_the_order_of_the_frames_is_seen(expert, frames):
    assert not torch.allclose(expert.see(frames.flip(1)), expert.see(frames), atol=1e-4)


def test_pictures_of_another_size_are_resized(expert, frames):
    large = frames.flatten(0, 1).repeat_interleave(2, 2).repeat_interleave(2, 3).unflatten(0, (3, 5))
    assert expert.see(large).shape == expert.see(frames).shape


def test_other_shapes_are_refused(expert, frames, mel):
    with pytest.raises(ShapeError, match=r"frames has shape \(3, 4, 3, 96, 96\), expected \(B, 5, 3, H, W\)"):
        expert.see(frames[:, :4])
    with pytest.raises(ShapeError, match=r"mel has shape \(3, 80, 15\)"):
        expert.hear(mel[..., :15])


def test_the_configuration_builds_the_same_expert(expert):
    again = build(expert.config)
    assert [tuple(t.shape) for t in again.state_dict().values()] == [
        tuple(t.shape) for t in expert.state_dict().values()
    ]


def test_rounding_does_not_leave_the_probabilities():
    long = torch.full((1, 512), 1 / math.sqrt(512)) * (1 + 1e-6)
    assert agreement(long, long).item() == 1.0


@pytest.mark.parametrize(
    ("probability", "in_sync", "loss"), [(0.5, 1.0, 0.6931), (0.25, 1.0, 1.3863), (0.25, 0.0, 0.2877)]
)
def test_the_loss_is_the_cross_entropy(probability, in_sync, loss):
    assert sync_loss(torch.tensor([probability]), torch.tensor([in_sync])).item() == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certainty_has_a_finite_loss_and_gradient(probability):
    found = torch.tensor([probability], requires_grad=True)
    for truth in (0.0, 1.0):
        loss = sync_loss(found, torch.tensor([truth]))
        loss.backward()
        assert loss < 15
        assert found.grad.isfinite().all()


def test_the_gradient_reaches_the_lips_and_not_the_expert(folder, frames, mel):
    loss = LipSyncLoss(expert=folder)
    frames.requires_grad_()
    loss(frames, mel).backward()
    assert frames.grad[..., 48:, :].abs().sum() > 0
    assert frames.grad[..., :48, :].abs().sum() == 0
    assert all(parameter.grad is None for parameter in loss.expert.network.parameters())


def test_the_gradient_leads_to_synchrony(folder, frames, mel):
    loss = LipSyncLoss(expert=folder)
    first = loss(frames, mel).item()
    for _ in range(20):
        frames = frames.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(frames, mel), frames)
        frames = frames - 0.02 * slope.sign()
    assert loss(frames, mel) < first - 0.01


def test_the_loss_leaves_no_trace_in_its_owner(folder, frames, mel):
    owner = nn.ModuleDict({"sync": LipSyncLoss(expert=folder)}).train()
    before = {name: tensor.clone() for name, tensor in owner["sync"].expert.network.state_dict().items()}
    owner["sync"](frames, mel)
    assert owner.state_dict() == {}
    assert list(owner.parameters()) == []
    after = owner["sync"].expert.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # no statistics of batch norm moved


def test_control_an_expert_that_trains_moves_its_statistics(expert, frames, mel):
    before = expert.lips[0].norm.running_mean.clone()
    expert.train()(frames, mel)
    assert not torch.equal(expert.lips[0].norm.running_mean, before)


def test_a_model_without_an_expert_is_refused(expert, tmp_path):
    save_model(tmp_path / "m", {"judge": expert}, {})
    with pytest.raises(WeightsError, match=r"has no sync expert\. Train one .* or convert"):
        LipSyncLoss(expert=str(tmp_path / "m"))


def published(expert):
    state = expert.state_dict()
    return {theirs: state[ours].clone() for theirs, ours in published_names(expert, EXPERT).items()}


@pytest.fixture(scope="module")
def large():
    torch.manual_seed(0)
    return SyncExpert().eval()


def test_a_published_checkpoint_becomes_a_model_folder(large, tmp_path):
    tensors = published(large)
    assert {"face_encoder.16.conv_block.1.running_var", "audio_encoder.13.conv_block.0.weight"} <= set(tensors)
    content = {"state_dict": tensors, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "global_step": 3}
    torch.save(content, tmp_path / "lipsync_expert.pth")
    report = convert_checkpoint("wav2lip-expert", tmp_path / "lipsync_expert.pth", tmp_path / "expert")
    assert report.parameters == {"sync_expert": 16_435_072}
    assert report.ignored == ("optimizer.state.0.exp_avg",)
    assert "non-commercial" in report.licence
    found = load_model(tmp_path / "expert")["sync_expert"].state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in large.state_dict().items())
    assert "animate" not in (tmp_path / "expert" / "README.md").read_text()


def test_another_network_is_refused_naming_what_differs(large, tmp_path):
    torch.save({"face_encoder_blocks.0.0.conv_block.0.weight": torch.zeros(1)}, tmp_path / "wav2lip.pth")
    with pytest.raises(WeightsError, match="no sync expert of Wav2Lip"):
        convert_checkpoint("wav2lip-expert", tmp_path / "wav2lip.pth", tmp_path / "a")
    tensors = published(large)
    del tensors["face_encoder.3.conv_block.0.bias"]
    torch.save(tensors, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"missing face_encoder\.3\.conv_block\.0\.bias"):
        convert_checkpoint("wav2lip-expert", tmp_path / "short.pth", tmp_path / "b")
