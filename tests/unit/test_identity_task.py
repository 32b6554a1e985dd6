"""Identity losses in the stage-1 task: they decouple, they play in the joint step, they refuse what cannot work."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from talkingface.core.errors import ConfigError, TalkingFaceError
from talkingface.core.interfaces import ImageCode
from talkingface.losses import CLUB, AAMSoftmax, AMSoftmax, CLUBMean, CLUBSample, TripletLoss
from talkingface.motion import LatentMotion
from talkingface.renderers import LIADiscriminator, LIARenderer
from talkingface.tasks import Adam, IdentityLosses, Reconstruction

TINY = {"size": 64, "width": 0.0625}
PEOPLE, WIDTH = 8, 32
BOTH = {"l1": 1.0, "metric": 0.1, "mutual_information": 1.0}


def latent(**options):
    return LatentMotion(code_dim=WIDTH, dim=8, **TINY, **options)


def losses(metric=AAMSoftmax, estimator=CLUBSample, **options):
    """What a recipe makes of ``identity``."""

    def built(encoder):
        arguments = () if metric is TripletLoss else (PEOPLE,)
        made = None if estimator is None else lambda x, y: estimator(x, y, 64)
        return IdentityLosses(encoder, lambda width: metric(width, *arguments), made, **options)

    return built


# It decouples: codes whose identity and motion are known, in place of a trunk.


class World:
    """Codes ``(B, 32)``: who, and a motion of four numbers, mixed by a rotation."""

    def __init__(self):
        generator = torch.Generator().manual_seed(5)
        self.people = torch.randn(PEOPLE, 8, generator=generator)
        self.mixed = 2 * torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0]
        self.draws = torch.Generator().manual_seed(1)

    def draw(self, who):
        motion = torch.randn(len(who), 4, generator=self.draws)
        return ImageCode(functional.pad(torch.cat([self.people[who], motion], 1), (0, 20)) @ self.mixed, ()), motion

    def anyone(self, count):
        return torch.randint(PEOPLE, (count,), generator=self.draws)


@torch.no_grad()
def probe(encoder, world, count=800):
    """How often a linear probe finds the person in the motion of codes it was not fitted to, and R² of the motion."""
    seen = []
    for _ in range(2):
        who = world.anyone(count)
        code, motion = world.draw(who)
        seen.append((functional.pad(encoder.motion_of(code), (0, 1), value=1.0).double(), who, motion.double()))
    (fitted, who, motion), (unseen, truth, moved) = seen
    answers = torch.linalg.lstsq(fitted, torch.cat([functional.one_hot(who, PEOPLE), motion], 1).double()).solution
    found = unseen @ answers
    accuracy = (found[:, :PEOPLE].argmax(1) == truth).double().mean().item()
    return accuracy, 1 - ((found[:, PEOPLE:] - moved) ** 2).mean().item()


@functools.cache
def trained(weight, estimator=CLUBSample, steps=500):
    """Accuracy of the metric loss and of the probe, R² of the motion, and the bound at the end."""
    torch.manual_seed(0)
    encoder, world, read = latent(), World(), nn.Linear(8, 4)
    identity = losses(estimator=estimator, warmup=(100, 200))(encoder)
    ours = [*encoder.decoupling.parameters(), *encoder.projector.reduce.parameters(), *read.parameters()]
    ours += identity.metric.parameters()
    theirs = {"params": [*identity.estimator.parameters()], "lr": 5e-3}
    optimizer = torch.optim.Adam([{"params": ours, "lr": 2e-3}, theirs])
    bounds = []
    for step in range(steps):
        person = world.anyone(8)
        stranger = (person + 1 + world.anyone(8) % (PEOPLE - 1)) % PEOPLE
        code, motion = world.draw(torch.cat([person, person, stranger]))
        terms = identity(code, {"identity": person, "negative_identity": stranger}, step)
        bounds.append(terms.losses["mutual_information"].item())
        total = functional.mse_loss(read(encoder.motion_of(code)), motion) + 0.1 * terms.losses["metric"]
        total = total + weight * identity.ramp(step) * terms.losses["mutual_information"] + terms.learning["estimator"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return terms.measured["identity_accuracy"].item(), *probe(encoder, world), sum(bounds[-50:]) / 50


@pytest.mark.parametrize("estimator", [CLUBSample, CLUB, CLUBMean])
def test_minimising_the_bound_takes_identity_out_of_motion_and_leaves_the_motion(estimator):
    _, control, _, _ = trained(0.0)
    _, leak, fit, _ = trained(1.0, estimator)
    print(estimator.__name__, f"probe {leak:.2f}, without {control:.2f}, chance {1 / PEOPLE:.2f}; motion R² {fit:.3f}")
    assert control > 0.6  # the probe would find identity, had nothing taken it out
    assert leak < 0.7 * control
    assert fit > 0.95


def test_the_bound_falls_where_it_is_minimised():
    assert trained(1.0)[-1] < 0.5 * trained(0.0)[-1]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_people_are_told_apart_with_and_without_the_bound(weight):
    assert trained(weight)[0] > 0.95


# What reaches whom


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    names = ("source", "driving", "positive", "negative")
    pictures = {name: torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1 for name in names}
    labels = {"identity": torch.tensor([0, 1]), "negative_identity": torch.tensor([5, 0])}
    return {**pictures, **labels, "clip_id": ["a", "b"]}


@pytest.fixture
def logged(monkeypatch):
    seen = {}
    monkeypatch.setattr(Reconstruction, "log_dict", lambda self, values, **kwargs: seen.update(values))
    return seen


def task(weights=BOTH, identity=None, **options):
    torch.manual_seed(0)
    return Reconstruction(
        latent(),
        lambda motion: LIARenderer(motion, **TINY),
        identity=identity or losses(warmup=(0, 0)),
        loss_weights=weights,
        **options,
    )


def gradients(model, name, batch):
    code = model.identity.encode(batch)
    terms = model.identity(code, batch, 0)
    {**terms.losses, **terms.learning}[name].backward()
    return {key for key, parameter in model.named_parameters() if parameter.grad is not None}


def parts(names):
    return {".".join(name.split(".")[:3]) for name in names if "decoupling" in name or name.startswith("identity")}


def test_each_term_trains_its_own_player_only(batch):
    heads = "motion_encoder.decoupling"
    assert parts(gradients(task(), "metric", batch)) == {
        f"{heads}.identity",
        f"{heads}.density",
        "identity.metric.weight",
    }
    assert parts(gradients(task(), "mutual_information", batch)) == {f"{heads}.motion"}
    assert parts(gradients(task(), "estimator", batch)) == {"identity.estimator.p_mu", "identity.estimator.p_logvar"}


@pytest.mark.parametrize("metric", [AAMSoftmax, AMSoftmax, TripletLoss])
@pytest.mark.parametrize("estimator", [None, CLUBMean])
def test_every_trainable_parameter_gets_a_gradient(batch, logged, metric, estimator):
    """DDP waits for each of them."""
    weights = {**BOTH, "adversarial": 1.0, "mutual_information": 0.0 if estimator is None else 1.0}
    model = task(weights, losses(metric, estimator, warmup=(0, 0)), discriminator=LIADiscriminator(**TINY))
    model.training_step(batch, 0).backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []
    assert any(name.startswith("motion_encoder.decoupling.density") for name in trained)


def test_the_players_have_their_own_groups_and_share_nothing():
    model = task({**BOTH, "adversarial": 1.0}, losses(player=Adam(0.25)), discriminator=LIADiscriminator(**TINY))
    groups = {group["name"]: group for group in model.configure_optimizers().param_groups}
    assert list(groups) == ["generator", "opponent", "estimator"]
    assert groups["estimator"]["lr"] == 0.25
    assert {id(p) for p in groups["estimator"]["params"]} == {id(p) for p in model.identity.estimator.parameters()}
    assert id(model.identity.metric.weight) in {id(p) for p in groups["generator"]["params"]}
    everything = [p for group in groups.values() for p in group["params"]]
    assert len(everything) == len({id(p) for p in everything}) == sum(p.requires_grad for p in model.parameters())


def test_the_candidates_change_nothing_in_what_is_rendered(batch):
    model = task()
    fake, _ = model._render(batch)
    torch.testing.assert_close(fake, model(batch["source"], batch["driving"]).image)


def test_terms_are_logged_and_summed_with_their_weights(batch, logged):
    total = task().training_step(batch, 0)
    terms = {name.removeprefix("train/"): value for name, value in logged.items()}
    assert set(terms) == {"l1", "metric", "mutual_information", "estimator", "identity_accuracy", "loss"}
    wanted = terms["l1"] + 0.1 * terms["metric"] + terms["mutual_information"] + terms["estimator"]
    assert total.item() == pytest.approx(wanted.item(), rel=1e-6)


def test_the_bound_waits_for_the_estimator_and_then_grows_linearly():
    identity = losses(warmup=(100, 300))(latent())
    assert [identity.ramp(step) for step in (0, 99, 100, 150, 250, 300, 10_000)] == [0, 0, 0, 0.25, 0.75, 1, 1]
    assert losses(warmup=(0, 0))(latent()).ramp(0) == 1


def test_during_the_warm_up_only_the_estimator_learns_of_the_bound(batch, logged):
    quiet, loud = (task(identity=losses(warmup=warmup)) for warmup in ((10, 20), (0, 0)))
    none = task({"l1": 1.0, "metric": 0.1})
    for model in (quiet, loud, none):
        model.training_step(batch, 0).backward()
    for (name, one), other in zip(
        quiet.motion_encoder.named_parameters(), none.motion_encoder.parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    motion = [model.motion_encoder.decoupling.motion[0].weight.grad for model in (quiet, loud)]
    assert not torch.allclose(*motion)
    assert all(p.grad.abs().sum() > 0 for p in quiet.identity.estimator.parameters())


def test_a_step_draws_the_same_negatives_whenever_it_is_made(batch):
    model = task()
    code = model.identity.encode(batch)
    torch.manual_seed(1)
    first = model.identity(code, batch, 7).losses["mutual_information"]
    torch.manual_seed(2)
    assert model.identity(code, batch, 7).losses["mutual_information"] == first
    others = {model.identity(code, batch, step).losses["mutual_information"].item() for step in range(5)}
    assert len(others) > 1


def test_neither_the_scale_of_motion_nor_that_of_identity_changes_the_bound(batch):
    model = task()
    code = model.identity.encode(batch)
    before = model.identity(code, batch, 0)
    with torch.no_grad():
        for head in (model.motion_encoder.decoupling.motion, model.motion_encoder.decoupling.density):
            head[2].weight *= 100
            head[2].bias *= 100
    after = model.identity(code, batch, 0)
    assert after.losses["mutual_information"].item() == pytest.approx(
        before.losses["mutual_information"].item(), rel=0.02, abs=1e-4
    )
    assert after.learning["estimator"].item() == pytest.approx(before.learning["estimator"].item(), rel=0.02)


def test_the_identity_losses_run_under_mixed_precision(batch):
    model = task()
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.identity(model.identity.encode(batch), batch, 0)
    assert all(value.dtype == torch.float32 for value in (*terms.losses.values(), *terms.learning.values()))


def test_nan_in_the_estimator_stops_the_run():
    model = task()
    optimizer = model.configure_optimizers()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    model.trainer = type("Trainer", (), {"precision": "32-true", "global_step": 7})()
    model.on_before_optimizer_step(optimizer)
    optimizer.param_groups[-1]["params"][0].grad.fill_(float("nan"))
    with pytest.raises(TalkingFaceError, match="estimator's gradient is NaN"):
        model.on_before_optimizer_step(optimizer)


def test_what_the_losses_learn_is_in_the_checkpoint_but_in_no_exported_part():
    model = task()
    names = set(model.state_dict())
    assert {"identity.metric.weight", "identity.estimator.p_mu.0.weight"} <= names
    assert sum("decoupling" in name for name in names) == 12  # once: the losses do not own the encoder
    checkpoint = {}
    model.on_save_checkpoint(checkpoint)
    assert set(checkpoint["talkingface"]["parts"]) == {"motion_encoder", "renderer"}


# What is refused


def test_data_without_candidates_is_refused(batch, logged):
    del batch["positive"]
    with pytest.raises(ConfigError, match=r"data\.candidates true"):
        task().training_step(batch, 0)


def test_more_people_than_classes_are_refused_and_fewer_are_not():
    identity = task().identity
    identity.check_people(PEOPLE)
    with pytest.raises(ConfigError, match=r"9 people .* 8 classes.*metric.classes 9"):
        identity.check_people(PEOPLE + 1)
    task(identity=losses(TripletLoss)).identity.check_people(1000)


@pytest.mark.parametrize("loss", ["metric", "mutual_information"])
def test_an_identity_loss_without_its_module_is_refused(loss):
    with pytest.raises(ConfigError, match="no 'identity'"):
        Reconstruction(latent(), lambda motion: LIARenderer(motion, **TINY), loss_weights={"l1": 1.0, loss: 1.0})


def test_mutual_information_with_an_identity_that_nothing_teaches_is_refused():
    with pytest.raises(ConfigError, match="nothing teaches who is who"):
        task({"l1": 1.0, "mutual_information": 1.0})


def test_mutual_information_without_an_estimator_is_refused():
    with pytest.raises(ConfigError, match="no estimator"):
        task(identity=losses(estimator=None))


def test_an_encoder_without_an_identity_head_is_refused():
    with pytest.raises(ConfigError, match="decouple=True"):
        losses()(latent(decouple=False))


def test_a_warm_up_that_goes_backwards_is_refused():
    with pytest.raises(ConfigError, match=r"warmup is \[5, 3\]"):
        losses(warmup=(5, 3))(latent())


def test_without_weights_nothing_is_built_and_the_heads_stay_frozen():
    model = task({"l1": 1.0, "metric": 0.0, "mutual_information": 0.0})
    assert model.identity is None
    assert not any(parameter.requires_grad for parameter in model.motion_encoder.identity_parameters())
    assert [group["name"] for group in model.configure_optimizers().param_groups] == ["generator"]


def test_an_estimator_without_weight_is_left_out():
    model = task({"l1": 1.0, "metric": 0.1})
    assert model.identity.estimator is None
    assert [group["name"] for group in model.configure_optimizers().param_groups] == ["generator"]
