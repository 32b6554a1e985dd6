"""The stage-1 task: what it refuses, what it computes, what it writes."""

import pytest
import torch

from integration.tiny_run import run
from talkingface.core.errors import ConfigError, TalkingFaceError
from talkingface.losses import PerceptualLoss
from talkingface.losses.perceptual import VGGFeatures
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer
from talkingface.tasks import Reconstruction

TINY = {"size": 64, "width": 0.0625}


class CountingPerceptual(PerceptualLoss):
    def __init__(self):
        layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
        super().__init__(VGGFeatures(layers, [1]))
        self.calls = 0

    def forward(self, image, target):
        self.calls += 1
        return super().forward(image, target)


def task(**options):
    torch.manual_seed(0)
    return Reconstruction(
        LatentMotion(code_dim=32, dim=4, **TINY), lambda motion: LIARenderer(motion, **TINY), **options
    )


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    source, driving = (torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(2))
    return {"source": source, "driving": driving, "identity": torch.tensor([0, 1]), "clip_id": ["a", "b"]}


@pytest.fixture
def logged(monkeypatch):
    seen = {}
    monkeypatch.setattr(Reconstruction, "log_dict", lambda self, values, **kwargs: seen.update(values))
    return seen


def test_only_losses_with_a_weight_are_computed_and_each_is_logged_by_name(batch, logged):
    perceptual = CountingPerceptual()
    task(perceptual=perceptual, loss_weights={"l1": 1.0, "perceptual": 0.0}).training_step(batch, 0)
    assert perceptual.calls == 0
    assert set(logged) == {"train/l1", "train/loss"}
    task(perceptual=perceptual, loss_weights={"l1": 1.0, "pyramid": 1.0, "perceptual": 0.1}).training_step(batch, 0)
    assert perceptual.calls == 1
    assert set(logged) == {"train/l1", "train/pyramid", "train/perceptual", "train/loss"}


def test_the_loss_is_the_weighted_sum_of_its_terms(batch, logged):
    total = task(loss_weights={"l1": 2.0, "pyramid": 0.5}).training_step(batch, 0)
    assert total.item() == pytest.approx(2 * logged["train/l1"].item() + 0.5 * logged["train/pyramid"].item(), rel=1e-6)


def test_the_mouth_is_looked_at_where_the_data_says_it_is(batch, logged):
    model = task(loss_weights={"l1": 1.0, "mouth": 1.0})
    with pytest.raises(ConfigError, match="mouth has a weight, and the data gives no landmarks"):
        model.training_step(batch, 0)
    landmarks = torch.rand(2, 2, 68, 2, generator=torch.Generator().manual_seed(1))
    model.training_step({**batch, "landmarks": landmarks}, 0)
    driving = logged["train/mouth"]
    model.training_step({**batch, "landmarks": landmarks.where(torch.tensor([0, 1])[:, None, None] == 1, 0.5)}, 0)
    assert logged["train/mouth"] == driving > 0  # those of the source have no effect


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'perceptal'; known: perceptual"):
        task(loss_weights={"perceptal": 1.0})


@pytest.mark.parametrize(("loss", "part"), [("perceptual", "perceptual"), ("adversarial", "discriminator")])
def test_a_loss_without_its_network_is_refused_at_build(loss, part):
    with pytest.raises(ConfigError, match=f"no '{part}'"):
        task(loss_weights={"l1": 1.0, loss: 1.0})


def test_every_trainable_parameter_gets_a_gradient(batch, logged):
    model = task(discriminator=LIADiscriminator(**TINY), loss_weights={"l1": 1.0, "adversarial": 1.0})
    model.training_step(batch, 0).backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []


def test_parameters_that_only_identity_losses_reach_are_not_trained():
    model = task()
    heads = list(model.motion_encoder.identity_parameters())
    assert heads
    assert not any(parameter.requires_grad for parameter in heads)


def test_players_have_their_own_settings():
    model = task(discriminator=LIADiscriminator(**TINY), loss_weights={"l1": 1.0, "adversarial": 1.0})
    groups = model.configure_optimizers().param_groups
    assert [group["name"] for group in groups] == ["generator", "opponent"]
    parameters = [parameter for group in groups for parameter in group["params"]]
    assert len(parameters) == len({id(parameter) for parameter in parameters})


def test_a_discriminator_without_weight_is_left_out():
    model = task(discriminator=LIADiscriminator(**TINY), loss_weights={"l1": 1.0, "adversarial": 0.0})
    assert model.discriminator is None
    assert len(model.configure_optimizers().param_groups) == 1


def test_the_shared_trunk_is_saved_once(batch):
    names = task().state_dict()
    assert any(name.startswith("motion_encoder.image_encoder") for name in names)
    assert not any("trunk" in name for name in names if name.startswith("renderer."))


def test_a_checkpoint_describes_its_parts_in_plain_json():
    checkpoint = {}
    task().on_save_checkpoint(checkpoint)
    about = checkpoint["talkingface"]
    assert about["parts"]["motion_encoder"]["class_path"] == "talkingface.motion.LatentMotion"
    assert about["parts"]["renderer"]["init_args"] == {**TINY, "from_portrait": False}
    assert "hyper_parameters" not in checkpoint


def test_a_gradient_that_is_not_a_number_stops_the_run(batch):
    model = task()
    optimizer = model.configure_optimizers()
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.zeros_like(parameter)
    model.trainer = type("Trainer", (), {"precision": "32-true", "global_step": 7})()
    model.on_before_optimizer_step(optimizer)
    optimizer.param_groups[0]["params"][3].grad.view(-1)[0] = float("nan")
    with pytest.raises(TalkingFaceError, match="generator's gradient is NaN"):
        model.on_before_optimizer_step(optimizer)


def test_mixed_precision_trains_to_about_the_same_loss(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    _, full = run(tmp_path / "full", 2, adversarial=True)
    _, mixed = run(tmp_path / "mixed", 2, adversarial=True, precision="bf16-mixed")
    assert mixed == pytest.approx(full, rel=0.05)
    assert mixed != full
